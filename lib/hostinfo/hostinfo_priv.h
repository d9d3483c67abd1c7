#pragma once

#include "ep_hostinfo.h"

#include <limits.h>

/** Path of a file of the tree. @return whether it fits. */
bool tree_path(const char *root, char path[PATH_MAX], const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** First line of a file, without its end. @return 0 or -errno, with @p buf "". */
int tree_line(const char *root, char *buf, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** A whole number that a file begins with. @return 0, -EINVAL or -errno, with @p value unchanged. */
int tree_number(const char *root, int64_t *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** What a symbolic link points to, its last part. @return 0 or -errno, with @p buf "". */
int tree_link(const char *root, char *buf, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** Whether there is such a file or folder. */
bool tree_has(const char *root, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Entries of a folder, without hidden ones, sorted. @return How many of them; free with tree_list_free(). */
size_t tree_list(const char *root, char ***names, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void tree_list_free(char **names, size_t count);

/** Copy a text that fits or is cut. */
void text_copy(char *out, size_t len, const char *text);

/* The readers, one a part of the facts. */
void hostinfo_rights(struct ep_doctor_rights *out);
void hostinfo_kernel(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_kernel *out);
void hostinfo_memory(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_memory *out);
void hostinfo_modules(const char *root, struct ep_doctor_memory *out);
void hostinfo_cpu(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_cpu *out);
void hostinfo_iommu(const char *root, struct ep_doctor_iommu *out);
void hostinfo_dmi(const char *root, struct ep_doctor_dmi *out);
void hostinfo_conntrack(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_conntrack *out);
void hostinfo_tools(const char *root, bool missing[EP_DOCTOR_TOOLS]);
void hostinfo_nics(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_facts *facts);

/** Interfaceless Ethernet devices of PCI, and those named, behind the interfaces that are in @p facts already. */
void hostinfo_pci(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_facts *facts);

/** What ethtool tells of an interface. */
void hostinfo_nic_ethtool(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_nic *nic);

/** Whether a PCI device has a legacy interrupt (pin A to D); what cannot be read is not known. */
enum ep_doctor_tri pci_intx(const char *root, const char *address);

/** Whether a text is a whole PCI address, "0000:00:05.0". */
bool pci_is_address(const char *text);
