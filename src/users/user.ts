/** Somebody who may log in with name and password. */
export interface User {
  /** As the file has it. */
  readonly name: string;
  /** NtPasswordHash of RFC 2759, 16 octets: as good as the password to whoever reads it. */
  readonly ntHash: Uint8Array;
  readonly isDisabled: boolean;
  /** How many devices may be connected at once, where this user differs from the gateway. */
  readonly devices: number | undefined;
  /** The last day on which the login is good, "2027-01-31", in UTC. */
  readonly expires: string | undefined;
}

/** RFC 7542 section 2.3. */
const LONGEST_NAME = 253;
/** RFC 2759 section 8. */
const LONGEST_PASSWORD = 256;

/** Names are the same in any case and any composition of their letters: telephones like to begin with a capital. */
export function foldName(name: string): string {
  return name.normalize("NFC").toLowerCase();
}

/** Why this cannot be the name of a user, or undefined if it can. */
export function faultOfName(name: string): string | undefined {
  if (name === "") return "a user name is empty";
  const shown = JSON.stringify(name.slice(0, 40));
  if (Buffer.byteLength(name) > LONGEST_NAME) return `${shown}... is longer than ${LONGEST_NAME} octets`;
  if (/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(name)) return `${shown} holds a character that cannot be seen`;
  if (name !== name.trim()) return `${shown} begins or ends with a space`;
  // What is in front of it is a domain to RFC 2759 section 4.
  if (name.includes("\\")) return `${shown}: write the name without a domain`;
  return undefined;
}

/** Why this cannot be a password, or undefined if it can. How good it is, is another question. */
export function faultOfPassword(password: string): string | undefined {
  if (password === "") return "the password is empty";
  if (password.length > LONGEST_PASSWORD) return `the password is longer than ${LONGEST_PASSWORD} characters`;
  if (/\p{Cc}/u.test(password)) return "the password holds a control character";
  return undefined;
}

/** Milliseconds since 1970 at which the day after "2027-01-31" begins in UTC, or undefined for what is no date. */
export function endOfDay(date: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) return undefined;
  const start = Date.parse(`${date}T00:00:00Z`);
  const isReal = !Number.isNaN(start) && new Date(start).toISOString().startsWith(date);
  return isReal ? start + 86_400_000 : undefined;
}
