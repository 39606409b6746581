/** Kinds of clients that take a file. */
export const CLIENT_KINDS = ["windows", "apple", "android", "networkmanager"] as const;

export type ClientKind = (typeof CLIENT_KINDS)[number];
