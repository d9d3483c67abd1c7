#pragma once

#include "ep_doctor.h"

#include <stdio.h>

/** A finding about the host, or about @p subject where it is not NULL. @p fix may be NULL. The sentence is added by doctor_say(). */
struct ep_doctor_finding *doctor_add(struct ep_doctor_report *r, const char *id,
	const char *subject, enum ep_doctor_status status);

/** Set the sentence. */
void doctor_say(struct ep_doctor_finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Set the command. */
void doctor_fix(struct ep_doctor_finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Append a quantity of bytes for people, "24 GiB". @return @p buf. */
const char *doctor_bytes(char *buf, size_t len, uint64_t bytes);

/** Name of a device: its interface, else its PCI address. */
const char *doctor_nic_name(const struct ep_doctor_nic *nic);

/** Whether a device is of interest: named by --dev, or no device was named. */
bool doctor_nic_wanted(const struct ep_doctor_facts *facts, const struct ep_doctor_nic *nic);

/** Whether --dev named a device of the kernel or of PCI. */
bool doctor_nic_named(const struct ep_doctor_facts *facts);

/** What can give a PCI device to DPDK on this host. */
enum doctor_bind {
	DOCTOR_BIND_VFIO,    /**< vfio-pci, as it is. */
	DOCTOR_BIND_NOIOMMU, /**< vfio-pci, when its no-IOMMU mode is turned on. */
	DOCTOR_BIND_UIO,     /**< uio_pci_generic. */
	DOCTOR_BIND_NONE,    /**< Nothing. */
};
enum doctor_bind doctor_bind(const struct ep_doctor_facts *f, const struct ep_doctor_nic *n);

/** How everyport is called in a command. */
const char *doctor_program(const struct ep_doctor_facts *f);

/** The visit as root, with the same devices of the kernel and of PCI. @return @p buf. */
const char *doctor_command(char *buf, size_t len, const struct ep_doctor_facts *f);

/** The command that leads to the kernel's interface of a PCI device: its visit, which interfaces there are, or the way back to the kernel. */
void doctor_fix_interface(const struct ep_doctor_facts *f, const struct ep_doctor_nic *n,
	struct ep_doctor_finding *x);

/** Let each command install first what it needs and this host does not have. */
void doctor_tools(const struct ep_doctor_facts *f, struct ep_doctor_report *r);

/** Whether a driver is one of those that take a NIC without an IOMMU. */
bool doctor_is_uio(const char *driver);

/* Judges: each adds at least one finding, in the order of the report. */
void doctor_judge_host(const struct ep_doctor_facts *f, struct ep_doctor_report *r);
void doctor_judge_hugepages(const struct ep_doctor_facts *f, struct ep_doctor_report *r);
void doctor_judge_iommu(const struct ep_doctor_facts *f, struct ep_doctor_report *r);
void doctor_judge_cpu(const struct ep_doctor_facts *f, struct ep_doctor_report *r);
void doctor_judge_cloud(const struct ep_doctor_facts *f, struct ep_doctor_report *r);
void doctor_judge_conntrack(const struct ep_doctor_facts *f, struct ep_doctor_report *r);
void doctor_judge_nics(const struct ep_doctor_facts *f, struct ep_doctor_report *r);
void doctor_judge_plan(const struct ep_doctor_facts *f, struct ep_doctor_report *r);
void doctor_judge_measured(const struct ep_doctor_facts *f, struct ep_doctor_report *r);

struct json_t;

/** The plan as one JSON object, empty where there is none; NULL without memory. */
struct json_t *doctor_plan_json(const struct ep_doctor_facts *f);

/** The plan for people; nothing where there is none. */
void doctor_plan_text(FILE *out, const struct ep_doctor_facts *f);

/** Words broken at spaces behind a hanging indent, with a line end; control characters become '?'. */
void doctor_wrap(FILE *out, const char *text, int indent);
