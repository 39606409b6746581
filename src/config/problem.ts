import { PolicyError } from "../errors/index.ts";

/** One thing that is wrong in a configuration file, or worth a warning. */
export interface Problem {
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** The line as it stands in the file, secrets masked, with a mark below the place; empty where showing it could tell a secret. */
  readonly excerpt: string;
}

/** A configuration that we refuse to start with. The message lists every problem. */
export class ConfigError extends PolicyError {
  readonly file: string;
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map((problem) => formatProblem(file, problem)).join("\n"), { code: "CONFIG" });
    this.name = "ConfigError";
    this.file = file;
    this.problems = problems;
  }
}

/** "ikebana.yaml:7:5: unknown key "chidlren"; did you mean "children"?" and the line itself. */
export function formatProblem(file: string, problem: Problem): string {
  const headline = `${file}:${problem.line}:${problem.column}: ${problem.message}`;
  return problem.excerpt === "" ? headline : `${headline}\n${problem.excerpt}`;
}
