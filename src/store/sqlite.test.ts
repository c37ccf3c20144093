import { join } from 'node:path';
import Database from 'better-sqlite3';
import { scratchFolder } from '../../test/support/scratch.ts';
import { type Place, storeSuite } from '../../test/support/store-suite.ts';
import { openStore } from './index.ts';

async function makePlace(): Promise<Place> {
  const dataDir = scratchFolder('store');
  return {
    open: (options = {}) => openStore({ dataDir, url: 'sqlite', ...options }),
    tamper: async (sql) => {
      const db = new Database(join(dataDir, 'store.sqlite'));
      db.exec(sql);
      db.close();
    },
  };
}

storeSuite({ name: 'sqlite', makePlace });
