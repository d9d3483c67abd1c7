#include "ep_stun.h"

uint64_t
ep_stun_send_ns(uint32_t n, uint64_t rto_ns)
{
	/* RTO x (1 + 2 + 4 + ...), n terms. */
	return n < EP_STUN_RC ? ((UINT64_C(1) << n) - 1) * rto_ns : UINT64_MAX;
}

uint64_t
ep_stun_fail_ns(uint64_t rto_ns)
{
	return ep_stun_send_ns(EP_STUN_RC - 1, rto_ns) + EP_STUN_RM * rto_ns;
}
