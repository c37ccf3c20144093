import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'vitest';
import { loadText, showProblem } from '../../config/index.ts';
import { checkAgentUri, isOpenRelay } from '../../gateway/index.ts';
import { showConfig } from '../check/show-config.ts';
import { BUILTINS } from '../program-files.ts';
import { DEMO_YAML } from './demo.ts';

test('the demo is a good configuration without a note', () => {
  const ports = {
    builtins: new Set(BUILTINS.keys()),
    findGroup: () => undefined,
    isOpenRelay,
    checkRule: () => undefined,
    checkUri: checkAgentUri,
  };
  const loaded = loadText('demo configuration', DEMO_YAML, '/srv', ports);
  if (loaded.kind === 'broken') assert.fail(loaded.problems.map(showProblem).join('\n'));
  assert.deepEqual(loaded.notices, []);
  assert.equal(
    showConfig(loaded.config),
    `demo configuration is good
  system    http://127.0.0.1:8025/ (opes.example)
  data      /srv/opes-data
  queue     inline: 250 when the next hop gave one; what one cannot serve is stored
  deadline  4m from the final dot to the answer
  console   http://127.0.0.1:8025/
  metrics   none

listeners
  demo  127.0.0.1:2525  recipient side  up to 25 MB  no TLS

routes (the first match wins)
  *  ->  mailbox  files in the data directory

services
  attachments  builtin:attachments  may refuse                                 never bypassed  http://127.0.0.1:8025/services/attachments  never: it may refuse
  banner       builtin:banner       may edit-content, edit-header, add-header  bypassable      http://127.0.0.1:8025/services/banner

pipeline (in this order)
  1.  attachments  always                             on failure tempfail  timeout 30s  must see RAWDATA
  2.  banner       when listener.side == 'recipient'  on failure skip      timeout 30s
`,
  );
});

test('examples/demo.yaml is the demo', () => {
  assert.equal(readFileSync(new URL('../../../examples/demo.yaml', import.meta.url), 'utf8'), DEMO_YAML);
});

test('services that come with the program are there', () => {
  for (const file of BUILTINS.values()) assert.ok(existsSync(file), file);
});
