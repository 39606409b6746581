import { statSync } from "node:fs";
import { wipe } from "../bytes/wipe.ts";
import { endOfDay, foldName, type User } from "./user.ts";
import { loadUsers } from "./users-file.ts";

/** Who may log in now. */
export interface LiveUser {
  readonly name: string;
  /** Good until the file changes; whoever needs it longer copies it. */
  readonly ntHash: Uint8Array;
  readonly devices: number | undefined;
  /** Why this user is refused in spite of the right password. */
  readonly refusal: "disabled" | "expired" | undefined;
}

/** How often the file is looked at for those who want to hear of changes. A login looks at it anyway. */
const LOOK_EVERY_MS = 1_000;

/**
 * The users file as the gateway sees it: each look-up notices a change, so that who was added or disabled is so at the next login. A
 * file that has become unreadable changes nothing; it is told of once.
 */
export class LiveUsers {
  readonly #path: string;
  readonly #today: () => number;
  readonly #onProblem: (problem: Error) => void;
  readonly #onChange: () => void;
  readonly #timer: NodeJS.Timeout;
  #users: ReadonlyMap<string, User>;
  #stamp: string;

  /** Throws as `loadUsers` does. `today` is the date, in milliseconds since 1970. */
  constructor(settings: {
    readonly path: string;
    readonly today: () => number;
    readonly onProblem: (problem: Error) => void;
    /** Somebody was added, removed, enabled or disabled, or has another password. */
    readonly onChange: () => void;
  }) {
    this.#path = settings.path;
    this.#today = settings.today;
    this.#onProblem = settings.onProblem;
    this.#onChange = settings.onChange;
    this.#stamp = stampOf(settings.path);
    this.#users = byName(loadUsers(settings.path).users);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Names are the same in any case. */
  find(name: string): LiveUser | undefined {
    this.#look();
    const user = this.#users.get(foldName(name));
    if (user === undefined) return undefined;
    const { ntHash, devices } = user;
    return { name: user.name, ntHash, devices, refusal: refusalOf(user, this.#today()) };
  }

  /** Stops looking and wipes the hashes. */
  close(): void {
    clearInterval(this.#timer);
    const old = this.#users;
    this.#users = new Map();
    for (const { ntHash } of old.values()) wipe(ntHash);
    this.#stamp = CLOSED;
  }

  #look(): void {
    if (this.#stamp === CLOSED) return;
    const stamp = stampOf(this.#path);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      const users = byName(loadUsers(this.#path).users);
      const old = this.#users;
      this.#users = users;
      for (const { ntHash } of old.values()) wipe(ntHash);
    } catch (problem) {
      this.#onProblem(problem as Error);
      return;
    }
    this.#onChange();
  }
}

const CLOSED = "closed";

/** Differs when the file was replaced or written to. It is taken before the file is read: a change in between is noticed next time. */
function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (cause) {
    return String((cause as NodeJS.ErrnoException).code);
  }
}

function byName(users: readonly User[]): ReadonlyMap<string, User> {
  return new Map(users.map((user) => [foldName(user.name), user]));
}

function refusalOf({ isDisabled, expires }: User, now: number): LiveUser["refusal"] {
  if (isDisabled) return "disabled";
  const end = expires === undefined ? undefined : endOfDay(expires);
  return end !== undefined && now >= end ? "expired" : undefined;
}
