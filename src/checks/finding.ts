/** What one check has found. */
export interface Finding {
  /** A short name, stable for programs: "tun", "port-500", "certificate-chain". */
  readonly check: string;
  readonly outcome: "ok" | "warning" | "failure";
  /** What is the case, as a sentence without its full stop. */
  readonly message: string;
  /** What to do about it; only where there is something to do. */
  readonly advice?: string;
}

export function ok(check: string, message: string): Finding {
  return { check, outcome: "ok", message };
}

export function warning(check: string, message: string, advice: string): Finding {
  return { check, outcome: "warning", message, advice };
}

export function failure(check: string, message: string, advice: string): Finding {
  return { check, outcome: "failure", message, advice };
}
