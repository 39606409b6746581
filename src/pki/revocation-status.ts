/** What somebody who should know says of a certificate. */
export type RevocationStatus =
  /** Until then, in milliseconds since 1970; undefined where nobody said how long. */
  | { readonly kind: "good"; readonly untilMs: number | undefined }
  | { readonly kind: "revoked" }
  | { readonly kind: "unknown"; readonly reason: string };

/** How far the clock of those who sign lists and answers may be from ours. */
export const CLOCK_SKEW_MS = 300_000;
