/** The store on a real PostgreSQL. */
import { Client } from 'pg';
import { beforeAll } from 'vitest';
import { openStore } from '../../src/store/index.ts';
import { Postgres } from '../support/postgres.ts';
import { type Place, storeSuite } from '../support/store-suite.ts';

let server: Postgres;
let made = 0;

beforeAll(async () => {
  server = await Postgres.start();
});

async function makePlace(): Promise<Place> {
  const url = await server.database(`db${++made}`);
  return {
    open: (options = {}) => openStore({ dataDir: '', url, owner: 'gateway-1', ...options }),
    tamper: async (sql) => {
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query(sql);
      await client.end();
    },
  };
}

storeSuite({ name: 'postgres', makePlace });
