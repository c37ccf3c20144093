/** A short campaign with every `npm test`; `npm run test:crash` makes it 200 kills. KILLS, CLIENTS and SEED say otherwise. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { runCampaign } from './campaign.ts';

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const KILLS = number('KILLS', 8);
const CLIENTS = number('CLIENTS', 8);
const SEED = number('SEED', Date.now() % 1_000_000);
const PER_KILL_MS = 20_000;

test(`sqlite: ${KILLS} kills, nothing lost (SEED=${SEED})`, { timeout: 240_000 + KILLS * PER_KILL_MS }, async () => {
  const result = await runCampaign({ kills: KILLS, clients: CLIENTS, store: 'sqlite', seed: SEED });
  const { lost, broken, ...rest } = result;
  const line = { event: 'crash-campaign', store: 'sqlite', seed: SEED, ...rest, lost: lost.length };
  process.stderr.write(`${JSON.stringify(line)}\n`);
  assert.deepEqual(lost.slice(0, 20), []);
  assert.deepEqual(broken, []);
  assert.ok(result.accepted > KILLS, 'mail went through while it was killed');
  assert.ok(result.duplicates <= result.permitted, `${result.duplicates} duplicates, ${result.permitted} permitted`);
});
