import { LoginGuard } from "../eap/login-guard.ts";
import { mschapv2Server } from "../eap/mschapv2/server.ts";
import { createEapServer } from "../eap/server.ts";
import type { EapServer, EapSession } from "../eap/session.ts";
import { systemRandom } from "../platform/random.ts";
import { LiveUsers } from "../users/live-users.ts";

/** One for each users file, for as long as the process lives: a reload forgets neither who was guessed at nor who is watched. */
const byFile = new Map<string, GatewayLogins>();

/** Logins with name and password (EAP-MSCHAPv2) by the users file. */
export class GatewayLogins implements EapServer {
  readonly #usersFile: string;
  readonly #name: string;
  #server: EapServer | undefined;
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
  }

  /** Who runs the gateway hears of a users file that cannot be read any more, and of every change in it. */
  observe(observer: { readonly onProblem: (message: string) => void; readonly onChange: () => void }): void {
    this.#onProblem = observer.onProblem;
    this.#onChange = observer.onChange;
  }

  /** Why somebody who is connected may not be any more, or undefined. */
  faultOf(name: string): string | undefined {
    const user = this.#find(name);
    return user === undefined ? "removed" : user.refusal;
  }

  begin(peer: { readonly address: string }): { readonly session: EapSession; readonly first: Uint8Array } {
    this.#server ??= this.#open();
    return this.#server.begin(peer);
  }

  #open(): EapServer {
    const method = mschapv2Server({
      users: { find: (name) => this.#find(name) },
      guard: new LoginGuard({ now: () => performance.now() }),
      name: this.#name,
      random: systemRandom,
    });
    return createEapServer({ methods: [method], random: systemRandom });
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
