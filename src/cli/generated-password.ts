import { randomInt } from "node:crypto";

/** Without those that look alike (0 o, 1 l i), all of them on a phone's first keyboard or its digits. */
const LETTERS = "abcdefghjkmnpqrstuvwxyz23456789";
const GROUP_COUNT = 4;
const GROUP_LENGTH = 4;

/** "k7mw-3qhx-n9ep-tz4c": 79 bits that can be read out and typed. */
export function generatePassword(): string {
  return Array.from({ length: GROUP_COUNT }, () =>
    Array.from({ length: GROUP_LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join(""),
  ).join("-");
}
