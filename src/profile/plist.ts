/** What a property list can hold, as far as ours do. */
export type PlistValue =
  | string
  | number
  | boolean
  | Uint8Array
  | readonly PlistValue[]
  | { readonly [key: string]: PlistValue };

/** An XML property list, as Apple's systems read them. Texts must be free of control characters. */
export function formatPlist(value: PlistValue): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    ...lines(value),
    "</plist>",
    "",
  ].join("\n");
}

function lines(value: PlistValue): readonly string[] {
  if (typeof value === "string") return [`<string>${escapeXml(value)}</string>`];
  if (typeof value === "number") return [`<integer>${value}</integer>`];
  if (typeof value === "boolean") return [value ? "<true/>" : "<false/>"];
  if (value instanceof Uint8Array) return [`<data>${Buffer.from(value).toString("base64")}</data>`];
  if (isList(value)) return ["<array>", ...indented(value.flatMap(lines)), "</array>"];
  const entries = Object.entries(value).flatMap(([key, item]) => [
    `<key>${escapeXml(key)}</key>`,
    ...lines(item),
  ]);
  return ["<dict>", ...indented(entries), "</dict>"];
}

function isList(value: PlistValue): value is readonly PlistValue[] {
  return Array.isArray(value);
}

function indented(texts: readonly string[]): readonly string[] {
  return texts.map((text) => `  ${text}`);
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
