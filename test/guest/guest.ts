import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { until } from "../support/waiting.ts";

// A Linux kernel that runs as a process (Debian's package user-mode-linux), from this machine's own files, which it may only read.

const KERNEL = "/usr/bin/linux.uml";
const MODULES = "/usr/lib/uml/modules";
const MODPROBE = "/sbin/modprobe";
/** What ESP is made of, with every cipher that both of us have. */
const NEEDED = [
  "esp4 esp6 xfrm_user seqiv echainiv authenc authencesn hmac ansi_cprng",
  "gcm ghash-generic ctr cbc chacha20poly1305 chacha_generic poly1305_generic sha512_generic crypto_null",
].join(" ");
/** The guest's link has a fixed address, so that neighbours can be told of each other. */
export const GUEST_LINK_ADDRESS = "02:00:00:00:00:02";

/**
 * Whether a guest can be booted. When not, says so in one line, or fails where IKEBANA_REQUIRE_INTEROP=1 promises that nothing
 * is skipped.
 */
export function requireGuest(what: string): boolean {
  if (existsSync(KERNEL) && existsSync(MODPROBE)) return true;
  const missing = "needs the packages user-mode-linux and kmod";
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1") throw new Error(`${what}: ${missing}`);
  console.log(`skipped: ${what} (${missing})`);
  return false;
}

/** A program in the guest. */
export interface GuestProgram {
  /** Standard output and standard error. */
  readonly out: string;
  readonly ended: Promise<{ readonly code: number }>;
}

/**
 * A guest whose link eth0 is the TAP device of this thread's network namespace that it is given. Its init reads numbered commands
 * from the console, and all that they write comes back behind their number.
 */
export class Guest {
  readonly #child: ChildProcess;
  readonly #place: string;
  readonly #programs: { out: string; end: (code: number) => void }[] = [];
  #console = "";
  #isReady = false;

  private constructor(child: ChildProcess, place: string) {
    this.#child = child;
    this.#place = place;
    createInterface({ input: child.stdout! }).on("line", (line) => this.#take(line));
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#console += text;
    });
    child.stdin!.on("error", () => {}); // it has halted; whoever waits for an answer says so
  }

  static async boot({ tap }: { readonly tap: string }): Promise<Guest> {
    const place = mkdtempSync(join(tmpdir(), "ikebana-guest-"));
    mkdirSync(join(place, "lib"));
    symlinkSync(MODULES, join(place, "lib/modules"));
    const init = join(place, "init");
    writeFileSync(init, initScript(place), { mode: 0o755 });
    // The kernel has processes of its own beside it: all of them end with the first of their process namespace.
    const [program, ...args] = [
      ...["unshare", "--pid", "--fork", "--kill-child=KILL", "--", KERNEL, "mem=256M", "quiet"],
      ...["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", `init=${init}`, `uml_dir=${place}/`],
      ...["con=null", "con0=fd:0,fd:1", `eth0=tuntap,${tap},${GUEST_LINK_ADDRESS},`],
    ];
    const child = spawn(program!, args);
    const guest = new Guest(child, place);
    try {
      await until("the guest boots", () => guest.#isReady, {
        timeoutMs: 40_000,
        describe: () => guest.#console,
      });
    } catch (error) {
      await guest.stop();
      throw error;
    }
    return guest;
  }

  /** Starts a shell command. */
  start(command: string): GuestProgram {
    let end: (code: number) => void = () => {};
    const ended = new Promise<{ code: number }>((resolve) => {
      end = (code) => resolve({ code });
    });
    const program = { out: "", ended, end };
    this.#child.stdin!.write(`${this.#programs.push(program) - 1} ${command}\n`);
    return program;
  }

  /** Runs a shell command that has to succeed, and says what it wrote. */
  async run(command: string): Promise<string> {
    const program = this.start(command);
    const { code } = await program.ended;
    if (code !== 0) throw new Error(`in the guest: ${command}: ${program.out}`);
    return program.out;
  }

  /** Writes a file that the guest may read, and says where it is. */
  write(name: string, text: string): string {
    const file = join(this.#place, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  /** Runs `ip` with each line of words, in order; all have to succeed. */
  async ip(lines: readonly string[]): Promise<void> {
    const file = this.write(`batch-${this.#programs.length}`, `${lines.join("\n")}\n`);
    await this.run(`ip -batch ${file}`);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      // Its console is closed when the last of the kernel's processes has ended.
      const closed = once(this.#child, "close");
      this.#child.kill("SIGKILL");
      await closed;
    }
    for (const { end } of this.#programs) end(-1);
    rmSync(this.#place, { recursive: true, force: true });
  }

  #take(line: string): void {
    if (line === "ready") this.#isReady = true;
    const [, id, what, text] = /^(\d+) (out|ended) (.*)$/.exec(line) ?? [];
    const program = id === undefined ? undefined : this.#programs[Number(id)];
    if (program === undefined) this.#console += `${line}\n`;
    else if (what === "out") program.out += `${text}\n`;
    else program.end(Number(text));
  }
}

function initScript(place: string): string {
  return `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
stty -echo -onlcr
mount -t proc none /proc
modprobe -d ${place} -a ${NEEDED}
ip link set lo up
ip link set eth0 up
echo ready
while read -r id line; do
  {
    code=$({ { sh -c "$line" 2>&1 </dev/null; echo $? >&3; } | sed -u "s/^/$id out /" >&4; } 3>&1)
    echo "$id ended $code"
  } 4>&1 &
done
halt -f
`;
}
