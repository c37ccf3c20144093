/**
 * A gateway's store in a process that can be killed: `node store-child.ts DATADIR URL PREFIX [SESSIONS [MAILS]]`. Sessions commit mails side by side;
 * the id of each is written to stdout when its promise has resolved, and not before. Every third mail ends in a later unit,
 * which is told as `-id`.
 */
import { writeSync } from 'node:fs';
import { openStore } from '../../src/store/index.ts';
import { makeMail } from './store-mail.ts';

const [dataDir = '', url = 'sqlite', prefix = 'c', sessions = '8', mails = 'Infinity'] = process.argv.slice(2);
const store = await openStore({ dataDir, url, owner: 'child' });
const say = (line: string): void => void writeSync(1, `${line}\n`);
say('open');
// Long contents that nobody binds are there at any moment, too.
void (async () => {
  for (let n = 0; ; n++) {
    const writer = store.writeContent(`${prefix}.w/${n}`);
    for (let i = 0; i < 5; i++) await writer.append(Buffer.alloc(100_000, 'w'));
    await writer.end();
  }
})();
await Promise.all(
  Array.from({ length: Number(sessions) }, async (_, session) => {
    for (let n = 0; n < Number(mails); n++) {
      const id = `${prefix}-${session}.${n}`;
      await store.commit({ mails: [makeMail(id, { octets: [Buffer.alloc(10_000, id)] })] });
      say(id);
      if (n % 3 !== 0) continue;
      await store.commit({ changes: [{ kind: 'end', mail: id, n: 0, as: 'delivered' }] });
      say(`-${id}`);
    }
  }),
);
process.exit(0);
