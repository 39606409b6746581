import * as v from "valibot";
import { isMapping, mapping, oneOf, text } from "./fields.ts";
import { parseHost } from "./values.ts";

/** `redirectTo`, as a host alone or as a mapping: where clients go, and from when on. */
export const redirectToSchema = v.lazy((input) => (isMapping(input) ? redirectMapping : redirectHost));

const redirectMapping = v.pipe(
  mapping({ host: text(parseHost), when: v.optional(oneOf(["init", "auth"])) }),
  v.transform(({ host, when = "auth" }) => ({ host, when })),
);
const redirectHost = v.pipe(
  text(parseHost),
  v.transform((host): v.InferOutput<typeof redirectMapping> => ({ host, when: "auth" })),
);
