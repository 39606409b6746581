import { PolicyError } from "../errors/index.ts";
import { exposureOf, readSecretFile, replaceSecretFile } from "./secret-file.ts";
import { faultOfName, foldName, type User } from "./user.ts";
import { UsersDocument } from "./users-document.ts";

/** Everybody in the file, in its order. Throws UsersError, PolicyError (code USERS) or PlatformError. */
export function loadUsers(path: string): {
  readonly users: readonly User[];
  /** Sentences about who else can read or write the file. */
  readonly warnings: readonly string[];
} {
  const { users } = new UsersDocument(readSecretFile(path), path);
  return { users, warnings: exposureOf(path) };
}

/** What a change of the users file can do. Names are found without regard to case. */
export interface UsersDraft {
  readonly users: readonly User[];
  find(name: string): User | undefined;
  /** Adds the user, or replaces whoever has the name. Throws PolicyError (code USERS) for a name that cannot be one. */
  put(user: User): void;
  /** Throws PolicyError (code USERS) if there is nobody of that name. */
  remove(name: string): void;
}

/**
 * Changes the users file, or makes it (0600) where there is none: all of `change` at once, or nothing if it throws. A gateway that runs
 * takes the change in by itself.
 */
export function changeUsers(path: string, change: (draft: UsersDraft) => void): void {
  replaceSecretFile(path, (text) => {
    const document = new UsersDocument(text ?? NEW_FILE, path);
    change(new Draft(document));
    const changed = document.toString();
    // What we write, we can read.
    new UsersDocument(changed, path);
    return changed;
  });
}

const NEW_FILE = `# Who may log in to the gateway. ikebana users add, del, passwd and disable write here.
# An nthash is as good as the password itself: let nobody read this file.
users:
`;

class Draft implements UsersDraft {
  readonly #document: UsersDocument;
  readonly #users: Map<string, User>;

  constructor(document: UsersDocument) {
    this.#document = document;
    this.#users = new Map(document.users.map((user) => [foldName(user.name), user]));
  }

  get users(): readonly User[] {
    return [...this.#users.values()];
  }

  find(name: string): User | undefined {
    return this.#users.get(foldName(name));
  }

  put(user: User): void {
    const fault = faultOfName(user.name);
    if (fault !== undefined) throw new PolicyError(fault, { code: "USERS" });
    this.#document.put(user);
    this.#users.set(foldName(user.name), user);
  }

  remove(name: string): void {
    if (!this.#users.delete(foldName(name))) {
      throw new PolicyError(`there is no user ${JSON.stringify(name)}`, { code: "USERS" });
    }
    this.#document.remove(name);
  }
}
