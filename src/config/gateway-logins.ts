import { createHash } from "node:crypto";
import { equal } from "../bytes/constant-time.ts";
import { LoginGuard } from "../eap/login-guard.ts";
import type { ServerMethod } from "../eap/method.ts";
import { mschapv2Server } from "../eap/mschapv2/server.ts";
import { systemRandom } from "../platform/random.ts";
import type { Accounts } from "../policy/connection.ts";
import { type LiveUser, LiveUsers } from "../users/live-users.ts";

/** One for each users file, for as long as the process lives: a reload forgets neither who was guessed at nor who is watched. */
const byFile = new Map<string, GatewayLogins>();

/** Logins with name and password by the users file, and who has logged in so. */
export class GatewayLogins implements Accounts {
  readonly #usersFile: string;
  readonly #name: string;
  /** EAP-MSCHAPv2 by the users file. */
  readonly method: ServerMethod;
  /** Who has logged in by it, and what the last login rested on: others may be connected who are no users of ours. */
  readonly #seen = new Map<string, Uint8Array>();
  #users: LiveUsers | undefined;
  #onProblem: (message: string) => void = () => {};
  #onChange: () => void = () => {};

  /** `name` is how the gateway calls itself towards its clients. */
  static of({ usersFile, name }: { readonly usersFile: string; readonly name: string }): GatewayLogins {
    const known = byFile.get(`${name} ${usersFile}`);
    if (known !== undefined) return known;
    const logins = new GatewayLogins(usersFile, name);
    byFile.set(`${name} ${usersFile}`, logins);
    return logins;
  }

  private constructor(usersFile: string, name: string) {
    this.#usersFile = usersFile;
    this.#name = name;
    this.method = this.#open();
  }

  /** Who runs the gateway hears of a users file that cannot be read any more, and of every change in it. */
  observe(observer: { readonly onProblem: (message: string) => void; readonly onChange: () => void }): void {
    this.#onProblem = observer.onProblem;
    this.#onChange = observer.onChange;
  }

  /** How many devices the file lets this user have, where it says so. */
  readonly devicesOf = (name: string): number | undefined => this.#find(name)?.devices;

  /** Why somebody who is connected may not be any more, or undefined. */
  faultOf(name: string): string | undefined {
    if (!this.#seen.has(name)) return undefined;
    const user = this.#find(name);
    return user === undefined ? "removed" : user.refusal;
  }

  stampOf(name: string): Uint8Array | undefined {
    return this.#seen.get(name);
  }

  confirms(name: string, stamp: Uint8Array): boolean {
    const user = this.#find(name);
    if (user === undefined || user.refusal !== undefined || user.name !== name) return false;
    if (!equal(stampOfUser(user), stamp)) return false;
    this.#seen.set(name, stamp);
    return true;
  }

  #open(): ServerMethod {
    const guard = new LoginGuard({ now: () => performance.now() });
    return mschapv2Server({
      users: { find: (name) => this.#find(name) },
      guard: {
        admits: (attempt) => guard.admits(attempt),
        succeeded: (attempt) => {
          const user = this.#find(attempt.user);
          this.#seen.set(attempt.user, user === undefined ? NOTHING : stampOfUser(user));
          guard.succeeded(attempt);
        },
      },
      name: this.#name,
      random: systemRandom,
    });
  }

  #find(name: string): ReturnType<LiveUsers["find"]> {
    try {
      this.#users ??= new LiveUsers({
        path: this.#usersFile,
        today: Date.now,
        onProblem: ({ message }) => this.#onProblem(message),
        onChange: () => this.#onChange(),
      });
      return this.#users.find(name);
    } catch (error) {
      // It was there when the configuration was read.
      this.#onProblem((error as Error).message);
      return undefined;
    }
  }
}

/** Another one with another password. */
function stampOfUser({ name, ntHash }: LiveUser): Uint8Array {
  return createHash("sha256").update(ntHash).update(name).digest().subarray(0, STAMP_LENGTH);
}

const STAMP_LENGTH = 16;
/** Of a user who was removed in this very moment: nobody has such a stamp. */
const NOTHING = new Uint8Array(0);
