// Reads Vitest's JSON report and prints the one line that CI looks for. Fails when nothing ran or something was skipped
// although the peers are required.

import { readFileSync } from "node:fs";

const report = JSON.parse(readFileSync(process.argv[2], "utf8"));
const failedFiles = report.testResults.filter(
  (file) => file.status === "failed" && file.assertionResults.length === 0,
);
for (const file of failedFiles) console.log(`did not load: ${file.name}`);
const passed = report.numPassedTests;
const failed = report.numFailedTests + failedFiles.length;
const skipped = report.numPendingTests + report.numTodoTests;
if (skipped > 0) {
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status !== "passed" && test.status !== "failed") console.log(`skipped: ${test.fullName}`);
    }
  }
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(passed === 0 || failed > 0 || skipped > 0 ? 1 : 0);
