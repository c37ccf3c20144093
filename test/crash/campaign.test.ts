/** A short campaign with every `npm test`; `npm run test:crash` makes it 200 kills. KILLS, CLIENTS and SEED say otherwise. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Postgres } from '../support/postgres.ts';
import { type CampaignOptions, runCampaign } from './campaign.ts';

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const KILLS = number('KILLS', 8);
const CLIENTS = number('CLIENTS', 8);
const SEED = number('SEED', Date.now() % 1_000_000);
const PER_KILL_MS = 20_000;

async function campaign(options: Pick<CampaignOptions, 'kills' | 'store' | 'killStore'>): Promise<void> {
  const result = await runCampaign({ ...options, clients: CLIENTS, seed: SEED });
  const { lost, broken, evidence, ...rest } = result;
  const store = options.store.replace(/:.*/, '');
  process.stderr.write(
    `${JSON.stringify({ event: 'crash-campaign', store, seed: SEED, ...rest, lost: lost.length })}\n`,
  );
  for (const line of evidence) process.stderr.write(`${line}\n`);
  assert.deepEqual(lost.slice(0, 20), []);
  assert.deepEqual(broken, []);
  assert.ok(result.accepted > options.kills, 'mail went through while it was killed');
  assert.ok(result.duplicates <= result.permitted, `${result.duplicates} duplicates, ${result.permitted} permitted`);
}

const timeout = (kills: number): number => 240_000 + kills * PER_KILL_MS;

test(`SQLite: ${KILLS} kills, nothing lost (SEED=${SEED})`, { timeout: timeout(KILLS) }, async () => {
  await campaign({ kills: KILLS, store: 'sqlite' });
});

const PG_KILLS = Math.ceil(KILLS / 4);
test(`PostgreSQL: ${PG_KILLS} kills, the database's among them, nothing lost (SEED=${SEED})`, {
  timeout: timeout(PG_KILLS),
}, async () => {
  const postgres = await Postgres.start();
  const killStore = async (): Promise<void> => {
    await postgres.kill();
    await postgres.up();
  };
  await campaign({ kills: PG_KILLS, store: await postgres.database('campaign'), killStore });
});
