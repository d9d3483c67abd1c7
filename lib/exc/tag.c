/*
 * Tags of a VLAN (802.1Q): the link has one on every frame, the kernel's interface on none. Priority bits are not looked at, and are zero in
 * what is sent. What lies behind the outer tag, another tag too, is the kernel's business, as on a VLAN interface of its own.
 */
#include "exc_priv.h"

#include <string.h>

#define MACS_BYTES 12
#define ETHER_BYTES 14
#define ETHERTYPE_VLAN 0x8100
#define VLAN_ID_MASK 0x0fff

/* A tag of priority alone (identifier 0) is as none, and so is one that is cut off. Without a VLAN of ours, tags are the kernel's to judge: somebody
 * may have made a VLAN interface on ours. */
enum exc_tag
exc_tag_look(uint16_t vlan_id, const uint8_t *frame, size_t len)
{
	const bool tagged = len >= ETHER_BYTES + EXC_TAG_BYTES &&
		ep_wire_get16(frame + MACS_BYTES) == ETHERTYPE_VLAN;
	const uint16_t id = tagged ? ep_wire_get16(frame + ETHER_BYTES) & VLAN_ID_MASK : 0;

	if (id != vlan_id)
		return vlan_id == 0 ? EXC_TAG_LEAVE : EXC_TAG_OTHER;
	return tagged ? EXC_TAG_TAKE_OFF : EXC_TAG_LEAVE;
}

void
exc_tag_take_off(uint8_t *frame)
{
	memmove(frame + EXC_TAG_BYTES, frame, MACS_BYTES);
}

void
exc_tag_put_on(uint16_t vlan_id, uint8_t *frame)
{
	memmove(frame, frame + EXC_TAG_BYTES, MACS_BYTES);
	ep_wire_put16(frame + MACS_BYTES, ETHERTYPE_VLAN);
	ep_wire_put16(frame + ETHER_BYTES, vlan_id);
}
