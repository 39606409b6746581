/** "uml": a Linux kernel as a process. "qemu": a virtual machine. */
export const GUEST_KINDS = ["uml", "qemu"] as const;
export type GuestKind = (typeof GUEST_KINDS)[number];
