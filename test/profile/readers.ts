/** Strict readers of what profiles are written in: each refuses what the real one would. */

export type Plist = string | number | boolean | Buffer | Plist[] | { [key: string]: Plist };

/** An XML property list back to its value. Throws on XML that is not well-formed, and on elements that a plist does not have. */
export function readPlist(text: string): Plist {
  const reader = new PlistReader(text);
  reader.take('<?xml version="1.0" encoding="UTF-8"?>');
  reader.take(
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
  );
  reader.take('<plist version="1.0">');
  const value = reader.value();
  reader.take("</plist>");
  reader.end();
  return value;
}

class PlistReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  take(token: string): void {
    this.#skipSpace();
    if (!this.#text.startsWith(token, this.#at)) throw new Error(`expected ${token} at ${this.#place()}`);
    this.#at += token.length;
  }

  value(): Plist {
    if (this.#tries("<true/>")) return true;
    if (this.#tries("<false/>")) return false;
    if (this.#tries("<string>")) return this.#rest("</string>");
    if (this.#tries("<integer>")) return Number(this.#matching(/^-?\d+$/, "</integer>"));
    if (this.#tries("<data>"))
      return Buffer.from(this.#matching(/^[A-Za-z0-9+/]+={0,2}$/, "</data>"), "base64");
    if (this.#tries("<array>")) return this.#items();
    this.take("<dict>");
    return this.#entries();
  }

  end(): void {
    this.#skipSpace();
    if (this.#at !== this.#text.length) throw new Error(`more text at ${this.#place()}`);
  }

  #items(): Plist[] {
    const items: Plist[] = [];
    while (!this.#tries("</array>")) items.push(this.value());
    return items;
  }

  #entries(): { [key: string]: Plist } {
    const entries: { [key: string]: Plist } = {};
    while (!this.#tries("</dict>")) {
      this.take("<key>");
      const key = this.#rest("</key>");
      if (Object.hasOwn(entries, key)) throw new Error(`the key ${key} is here twice`);
      entries[key] = this.value();
    }
    return entries;
  }

  #matching(pattern: RegExp, closing: string): string {
    const text = this.#rest(closing);
    if (!pattern.test(text)) throw new Error(`"${text}" at ${this.#place()}`);
    return text;
  }

  #rest(closing: string): string {
    const end = this.#text.indexOf("<", this.#at);
    const raw = this.#text.slice(this.#at, end);
    this.#at = end;
    this.take(closing);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 section 2.2 has none of them
    if (/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/.test(raw))
      throw new Error("not a Char of XML");
    return raw.replace(/&([^;]*;?)/g, (_, name: string) => {
      const character = { "amp;": "&", "lt;": "<", "gt;": ">", "quot;": '"', "apos;": "'" }[name];
      if (character === undefined) throw new Error(`unknown entity &${name}`);
      return character;
    });
  }

  #tries(token: string): boolean {
    this.#skipSpace();
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  #skipSpace(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at += 1;
  }

  #place(): string {
    return JSON.stringify(this.#text.slice(this.#at, this.#at + 40));
  }
}

/** A keyfile as GLib's GKeyFile has it: sections of strings, escapes undone. */
export function readKeyfile(text: string): Record<string, Record<string, string>> {
  const sections: Record<string, Record<string, string>> = {};
  let section: Record<string, string> | undefined;
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const title = /^\[([^\][]+)\]$/.exec(line)?.[1];
    if (title !== undefined) {
      if (Object.hasOwn(sections, title)) throw new Error(`section ${title} is here twice`);
      section = {};
      sections[title] = section;
      continue;
    }
    const [, key, value] = /^([A-Za-z0-9-]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (section === undefined || key === undefined || value === undefined) throw new Error(`"${line}"`);
    if (Object.hasOwn(section, key)) throw new Error(`key ${key} is here twice`);
    section[key] = value.replace(/\\(.?)/g, (_, escaped: string) => {
      const character = { s: " ", n: "\n", t: "\t", r: "\r", "\\": "\\" }[escaped];
      if (character === undefined) throw new Error(`invalid escape \\${escaped}`);
      return character;
    });
  }
  return sections;
}

/** A command of a PowerShell script, as words; texts in quotes are marked as such. */
export type PowerShellWord = string | { readonly text: string };

/**
 * Statements of a PowerShell script, read by its rules for tokens: single quotes of every shape enclose a literal, a doubled one is one
 * of them; here-strings go to '@ at the beginning of a line; ` before a line break goes on.
 */
export function readPowerShell(script: string): PowerShellWord[][] {
  const statements: PowerShellWord[][] = [];
  let statement: PowerShellWord[] = [];
  let word = "";
  let at = 0;
  const endWord = () => {
    if (word !== "") statement.push(word);
    word = "";
  };
  const endStatement = () => {
    endWord();
    if (statement.length > 0) statements.push(statement);
    statement = [];
  };
  const text = script.replace(/^\uFEFF/, "");
  while (at < text.length) {
    const rest = text.slice(at);
    const character = text[at]!;
    if (rest.startsWith("`\r\n")) {
      endWord();
      at += 3;
    } else if (rest.startsWith("\r\n")) {
      endStatement();
      at += 2;
    } else if (character === "#" && word === "") {
      const end = rest.indexOf("\r\n");
      if (rest.startsWith("#Requires")) statements.push([rest.slice(0, end)]);
      at += end;
    } else if (rest.startsWith("@'\r\n")) {
      const end = rest.indexOf("\r\n'@");
      endWord();
      statement.push({ text: rest.slice(4, end) });
      at += end + 4;
    } else if (/['\u2018-\u201B]/.test(character)) {
      const literal = /^['\u2018-\u201B]((?:[^'\u2018-\u201B]|['\u2018-\u201B]{2})*)['\u2018-\u201B]/.exec(
        rest,
      );
      if (literal === null) throw new Error(`a quote is open: ${rest.slice(0, 40)}`);
      endWord();
      statement.push({ text: literal[1]!.replace(/(['\u2018-\u201B])['\u2018-\u201B]/g, "$1") });
      at += literal[0].length;
    } else if (character === '"') {
      const end = rest.indexOf('"', 1);
      endWord();
      statement.push(rest.slice(0, end + 1));
      at += end + 1;
    } else if (/\s/.test(character)) {
      endWord();
      at += 1;
    } else {
      if (character === ";") throw new Error("a second statement on a line");
      word += character;
      at += 1;
    }
  }
  endStatement();
  return statements;
}
