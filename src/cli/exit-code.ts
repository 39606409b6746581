import type { FailureReason, LivenessOutcome, Outcome } from "../engine/control-surface.ts";
import { PlatformError, PolicyError } from "../errors/index.ts";

/** What the process ends with. Scripts rely on these numbers. */
export const ExitCode = {
  DONE: 0,
  WRONG_USE: 1,
  CONFIGURATION: 2,
  NOT_RUNNING: 3,
  AUTHENTICATION_FAILED: 4,
  NO_PROPOSAL_CHOSEN: 5,
  TIMEOUT: 6,
  CERTIFICATE: 7,
  PERMISSION: 8,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

const CODE_OF: Readonly<Record<FailureReason, ExitCode>> = {
  "unknown-connection": ExitCode.WRONG_USE,
  "not-established": ExitCode.WRONG_USE,
  configuration: ExitCode.CONFIGURATION,
  "authentication-failed": ExitCode.AUTHENTICATION_FAILED,
  certificate: ExitCode.CERTIFICATE,
  "no-proposal-chosen": ExitCode.NO_PROPOSAL_CHOSEN,
  timeout: ExitCode.TIMEOUT,
  permission: ExitCode.PERMISSION,
  other: ExitCode.WRONG_USE,
};

export function exitCodeOf(outcome: Outcome | LivenessOutcome): ExitCode {
  return outcome.kind === "failed" ? CODE_OF[outcome.reason] : ExitCode.DONE;
}

/** The exit code of what a command threw. */
export function exitCodeOfError(error: unknown): ExitCode {
  if (error instanceof PolicyError && error.code === "CONFIG") return ExitCode.CONFIGURATION;
  if (!(error instanceof PlatformError)) return ExitCode.WRONG_USE;
  switch (error.code) {
    case "NOT_RUNNING":
      return ExitCode.NOT_RUNNING;
    case "EACCES":
    case "EPERM":
      return ExitCode.PERMISSION;
    case "ETIMEDOUT":
      return ExitCode.TIMEOUT;
    default:
      return ExitCode.WRONG_USE;
  }
}
