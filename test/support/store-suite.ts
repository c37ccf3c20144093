/** What every store does, whatever is under it. One suite for all dialects. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, test } from 'vitest';
import {
  type Change,
  type OpenStoreOptions,
  type Store,
  type StoredDelivery,
  StoreError,
  type StoreErrorCode,
} from '../../src/store/index.ts';
import { DAY, makeMail, NOW, names } from './store-mail.ts';
import { runModel } from './store-model.ts';

/** A place where stores are opened and opened again. */
export interface Place {
  open(options?: Partial<OpenStoreOptions>): Promise<Store>;
  /** Runs a statement behind the store's back, while it is closed. */
  tamper(sql: string): Promise<void>;
}

export interface SuiteOptions {
  readonly name: string;
  /** A new, empty place. */
  readonly makePlace: () => Promise<Place>;
}

export function storeSuite({ name, makePlace }: SuiteOptions): void {
  const opened: Store[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
  });

  async function at(place: Place, options: Partial<OpenStoreOptions> = {}): Promise<Store> {
    const store = await place.open({ clock: () => NOW, ...options });
    opened.push(store);
    return store;
  }
  const fresh = async (options?: Partial<OpenStoreOptions>): Promise<Store> => at(await makePlace(), options);
  const titled = (title: string, run: () => Promise<void>): void => {
    test(`${name}: ${title}`, run, 120_000);
  };

  titled('a mail comes back as it went in', async () => {
    const store = await fresh();
    const mail = makeMail('s.1', { deliveries: 2 });
    await store.commit({ mails: [mail] });
    const { contents: _, deliveries, ...plain } = mail;
    assert.deepEqual(await store.mail('s.1'), plain);
    const stored = await store.list({}, 10);
    assert.deepEqual(
      stored.map(({ seq: __, mail: of, attempts, lastReply, isWarned, isClaimed, ...rest }) => {
        assert.deepEqual([of, attempts, lastReply, isWarned, isClaimed], ['s.1', 0, undefined, false, true]);
        return rest;
      }),
      deliveries,
    );
    const octets = Buffer.from('Subject: test\r\n\r\nHello\r\n');
    assert.deepEqual(await store.content('s.1/0'), { id: 's.1/0', size: octets.length });
    assert.deepEqual(Buffer.from(await store.read('s.1/0', 0, 1000)), octets);
    assert.deepEqual(Buffer.from(await store.read('s.1/0', 9, 4)), octets.subarray(9, 13));
    assert.equal(await store.mail('s.2'), undefined);
    assert.equal(await store.content('s.1/1'), undefined);
    await assert.rejects(store.read('s.1/1', 0, 1), isCode('failed'));
  });

  titled('text of any kind is kept as it is', async () => {
    const store = await fresh();
    const reversePath = `it's "quoted"; drop table mail; \u00fc\u{1f4e7}`;
    const notes = { 'a\u0000b': ['\ud800', '%s', '\\', null, 1.5, { deep: [true] }] };
    await store.commit({ mails: [makeMail('s.1', { reversePath, delivery: { notes } })] });
    assert.equal((await store.mail('s.1'))?.reversePath, reversePath);
    assert.deepEqual((await store.list({}, 1))[0]?.notes, notes);
  });

  titled('a unit that fails leaves nothing, and its neighbours are not touched', async () => {
    const store = await fresh();
    await store.commit({ mails: [makeMail('s.1')] });
    const results = await Promise.allSettled([
      store.commit({ mails: [makeMail('s.2')] }),
      store.commit({ mails: [makeMail('s.3'), makeMail('s.1')] }),
      store.commit({ mails: [makeMail('s.4')], changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'delivered' }] }),
      store.commit({ mails: [makeMail('s.5', { octets: 'written' })] }),
    ]);
    assert.deepEqual(results.map(outcome), ['done', 'duplicate', 'done', 'failed']);
    assert.deepEqual(names(await store.list({}, 10)), ['s.2 0', 's.4 0']);
    assert.equal(await store.content('s.3/0'), undefined);
    const { accepted, delivered, queued } = await store.counters();
    assert.deepEqual({ accepted, delivered, queued }, { accepted: 3, delivered: 1, queued: 2 });
  });

  titled('ids and contents that break the rules are refused before anything is written', async () => {
    const store = await fresh();
    const mail = makeMail('s.1');
    for (const bad of [
      { ...mail, id: 'a b' },
      { ...mail, id: 'x/y' },
      { ...mail, id: '' },
      { ...mail, deliveries: [] },
      { ...mail, contents: [{ id: 's.10/0', octets: [] }] },
      { ...mail, facts: 'x'.repeat(70_000) },
    ])
      await assert.rejects(store.commit({ mails: [bad] }), isCode('failed'));
    assert.throws(() => store.writeContent('s.1'), isCode('failed'));
    assert.deepEqual(await store.list({}, 10), []);
  });

  titled('the last delivery takes the mail and its contents along, and no other mail', async () => {
    const store = await fresh();
    await store.commit({ mails: [makeMail('s.1', { deliveries: 2 }), makeMail('s.10'), makeMail('s.1a')] });
    await store.commit({ contents: [{ mail: 's.1', content: { id: 's.1/1', octets: [Buffer.from('new')] } }] });
    await store.commit({ changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'delivered' }] });
    assert.equal((await store.content('s.1/1'))?.size, 3);
    await store.commit({ changes: [{ kind: 'end', mail: 's.1', n: 1, as: 'reported' }] });
    assert.equal(await store.mail('s.1'), undefined);
    assert.equal(await store.content('s.1/0'), undefined);
    assert.equal(await store.content('s.1/1'), undefined);
    assert.notEqual(await store.content('s.10/0'), undefined);
    assert.notEqual(await store.content('s.1a/0'), undefined);
    // A second time changes nothing.
    await store.commit({ changes: [{ kind: 'end', mail: 's.1', n: 1, as: 'reported' }] });
    assert.deepEqual(await store.counters(), {
      accepted: 4,
      delivered: 1,
      reported: 1,
      excepted: 0,
      removed: 0,
      queued: 2,
      held: 0,
    });
  });

  titled('claims are in order of time, once, and keep mails whole', async () => {
    const store = await fresh();
    const due = (nextMs: number, deliveries = 1) => ({ deliveries, delivery: { nextMs } });
    await store.commit({ mails: [makeMail('s.1', due(NOW + 30, 3)), makeMail('s.2', due(NOW + 10, 2))] });
    await store.commit({ mails: [makeMail('s.3', due(NOW + 20)), makeMail('s.4', due(NOW + 99))] });
    assert.deepEqual(await store.claim(NOW + 50, 10), [], 'new mail is claimed from the start');
    assert.equal(await store.nextDueMs(), undefined);
    await store.release(all('s.1', 3).concat(all('s.2', 2), all('s.3', 1), all('s.4', 1)));
    assert.equal(await store.nextDueMs(), NOW + 10);
    assert.deepEqual(names(await store.claim(NOW + 50, 4)), ['s.2 0', 's.2 1', 's.3 0'], 's.1 does not fit');
    assert.deepEqual(names(await store.claim(NOW + 50, 2)), ['s.1 0', 's.1 1'], 'the first one is cut where it must');
    assert.deepEqual(names(await store.claim(NOW + 50, 9)), ['s.1 2']);
    assert.deepEqual(names(await store.claim(NOW + 50, 9)), []);
    assert.equal(await store.nextDueMs(), NOW + 99);
  });

  titled('an operator takes what nobody works on, held or not, and nobody else has it then', async () => {
    const store = await fresh();
    const hold = { service: 'av', reason: 'x', heldMs: NOW };
    const later = { nextMs: NOW + 10 };
    await store.commit({
      mails: [makeMail('s.1', { deliveries: 250, delivery: later }), makeMail('s.2', { delivery: { hold } })],
    });
    const listed = await store.list({}, 999);
    assert.deepEqual(names(await store.take(listed, NOW)), ['s.2 0'], 'new mail is being delivered');
    assert.equal((await store.list({ mail: 's.2' }, 1))[0]?.isClaimed, true);
    assert.deepEqual(await store.take(listed, NOW), [], 'taken');
    await store.release(all('s.1', 250));
    assert.deepEqual(await store.take([{ seq: listed[0]?.seq ?? 0, n: 999 }], NOW), [], 'not there');
    const taken = await store.take(listed, NOW);
    assert.deepEqual(names(taken), names(listed.slice(0, 250)));
    assert.deepEqual([taken[7]?.nextMs, taken[7]?.forwardPath], [NOW + 10, 'user7@example.org']);
    assert.deepEqual(await store.claim(NOW + 10, 999), [], 'not the spool either');
    await store.commit({ changes: [{ kind: 'queue', mail: 's.1', n: 7, nextMs: NOW }] });
    assert.deepEqual(names(await store.claim(NOW, 9)), ['s.1 7']);
    assert.deepEqual(await store.take([], NOW), []);
  });

  titled('a lease ends', async () => {
    const store = await fresh({ leaseMs: 1000 });
    await store.commit({ mails: [makeMail('s.1')] });
    assert.deepEqual(await store.claim(NOW + 999, 9), []);
    assert.deepEqual(names(await store.claim(NOW + 1000, 9)), ['s.1 0']);
    assert.deepEqual(await store.claim(NOW + 1999, 9), []);
    // A claim is told from others by its end, which may be some milliseconds later.
    assert.deepEqual(names(await store.claim(NOW + 2010, 9)), ['s.1 0']);
  });

  titled('a lease that is renewed goes on; what has no claim of ours gets none by it', async () => {
    let nowMs = NOW;
    const store = await fresh({ leaseMs: 1000, clock: () => nowMs });
    await store.commit({ mails: [makeMail('s.1', { deliveries: 3 })] });
    await store.release([{ mail: 's.1', n: 1 }]);
    nowMs = NOW + 900;
    await store.renew([...all('s.1', 2), { mail: 's.9', n: 0 }]);
    assert.deepEqual(names(await store.claim(NOW + 1500, 9)), ['s.1 1', 's.1 2']);
    await store.commit({ changes: [{ kind: 'end', mail: 's.1', n: 2, as: 'delivered' }] });
    await store.renew(all('s.1', 3));
    assert.deepEqual(names(await store.claim(NOW + 1900, 9)), ['s.1 0', 's.1 1']);
    assert.equal(store.leaseMs, 1000);
    // More than go in one unit.
    await store.commit({ mails: [makeMail('s.2', { deliveries: 700 })] });
    nowMs = NOW + 5000;
    await store.renew(all('s.2', 700));
    assert.deepEqual(names(await store.claim(NOW + 5999, 999)), ['s.1 0', 's.1 1']);
  });

  titled('a damaged row is claimed like any other, and known', async () => {
    const place = await makePlace();
    const store = await at(place);
    await store.commit({ mails: [makeMail('s.1'), makeMail('s.2', { deliveries: 2 }), makeMail('s.3')] });
    await store.close();
    await place.tamper(`update delivery set notes = '{"a' where n = 1`);
    await place.tamper(`update mail set facts = '' where id = 's.3'`);
    const again = await at(place);
    const claimed = await again.claim(NOW, 9);
    assert.deepEqual(
      claimed.map(({ mail, n, isDamaged }) => [mail, n, isDamaged === true]),
      [
        ['s.1', 0, false],
        ['s.2', 0, false],
        ['s.2', 1, true],
        ['s.3', 0, false],
      ],
    );
    assert.deepEqual([(await again.mail('s.2'))?.isDamaged, (await again.mail('s.3'))?.isDamaged], [undefined, true]);
  });

  titled('a retry, a hold and a release to the queue', async () => {
    const store = await fresh();
    await store.commit({ mails: [makeMail('s.1')] });
    const one = { mail: 's.1', n: 0 };
    const retry = {
      kind: 'retry',
      ...one,
      attempts: 2,
      nextMs: NOW + 60,
      lastReply: '451 4.3.0 later',
      isWarned: true,
    } as const;
    await store.commit({ changes: [retry] });
    let [stored]: readonly (StoredDelivery | undefined)[] = await store.list({}, 1);
    assert.deepEqual(
      [stored?.attempts, stored?.nextMs, stored?.lastReply, stored?.isWarned, stored?.notes],
      [2, NOW + 60, '451 4.3.0 later', true, { route: 1 }],
    );
    const hold = { service: 'av', reason: 'eicar', heldMs: NOW + 70 };
    await store.commit({ changes: [{ kind: 'hold', ...one, hold, expiresMs: NOW + DAY }] });
    assert.deepEqual(await store.claim(NOW + DAY, 9), [], 'held');
    assert.equal(await store.nextDueMs(), undefined);
    [stored] = await store.list({ state: 'held' }, 1);
    assert.deepEqual(stored?.hold, hold);
    assert.deepEqual([(await store.counters()).queued, (await store.counters()).held], [0, 1]);
    await store.commit({
      contents: [{ mail: 's.1', content: { id: 's.1/1', octets: [Buffer.from('adapted')] } }],
      changes: [
        {
          kind: 'queue',
          ...one,
          nextMs: NOW + 80,
          lane: 'adapt',
          content: 's.1/1',
          expiresMs: NOW + 2 * DAY,
          notes: 7,
        },
      ],
    });
    [stored] = await store.claim(NOW + 80, 9);
    assert.deepEqual(
      [stored?.hold, stored?.lane, stored?.content, stored?.expiresMs, stored?.notes],
      [undefined, 'adapt', 's.1/1', NOW + 2 * DAY, 7],
    );
    assert.deepEqual([(await store.counters()).queued, (await store.counters()).held], [1, 0]);
    const elsewhere = { kind: 'queue', ...one, nextMs: NOW, content: 's.1/2' } as const;
    await assert.rejects(store.commit({ changes: [elsewhere] }), isCode('failed'));
  });

  titled('a change to a delivery that is not there changes nothing', async () => {
    const store = await fresh();
    const one = { mail: 's.9', n: 0 };
    const hold = { service: 'av', reason: 'x', heldMs: NOW };
    await store.commit({
      changes: [
        { kind: 'end', ...one, as: 'delivered' },
        { kind: 'retry', ...one, attempts: 1, nextMs: NOW, lastReply: undefined, isWarned: false },
        { kind: 'hold', ...one, hold, expiresMs: NOW },
        { kind: 'queue', ...one, nextMs: NOW },
      ],
    });
    assert.equal((await store.counters()).accepted, 0);
    assert.deepEqual(await store.list({}, 9), []);
  });

  titled('what another gateway has claimed since is its own: no change of ours touches it', async () => {
    const place = await makePlace();
    const store = await place.open({ clock: () => NOW });
    await store.commit({ mails: [makeMail('s.1'), makeMail('s.2')] });
    await store.close();
    await place.tamper(`update delivery set owner = 'other', lease_ms = ${NOW + DAY} where content = 's.1/0'`);
    const again = await place.open({ clock: () => NOW });
    const before = (await again.list({}, 9))[0];
    const one = { mail: 's.1', n: 0 } as const;
    const hold = { service: 'av', reason: 'x', heldMs: NOW };
    const late: readonly Change[] = [
      {
        kind: 'retry',
        ...one,
        attempts: 7,
        nextMs: NOW + 5,
        lastReply: '450 no',
        isWarned: true,
        notes: { late: true },
      },
      { kind: 'hold', ...one, hold, expiresMs: NOW + 9 },
      { kind: 'queue', ...one, nextMs: NOW + 6, lane: 'adapt', content: 's.1/1', notes: { late: true } },
      { kind: 'end', ...one, as: 'reported' },
    ];
    for (const change of late) await again.commit({ changes: [change] });
    await again.commit({ changes: late });
    assert.deepEqual((await again.list({}, 9))[0], before);
    // Nobody has this one.
    await again.commit({ changes: [{ kind: 'end', mail: 's.2', n: 0, as: 'delivered' }] });
    const { queued, delivered, reported } = await again.counters();
    assert.deepEqual({ queued, delivered, reported }, { queued: 1, delivered: 1, reported: 0 });
    await again.close();
  });

  titled('expired: held ones, and queued ones nobody works on', async () => {
    const store = await fresh({ leaseMs: 10 * DAY });
    const hold = { service: 'av', reason: 'x', heldMs: NOW };
    const until = (ms: number) => ({ expiresMs: NOW + ms });
    await store.commit({
      mails: [
        makeMail('s.1', { delivery: until(100) }),
        makeMail('s.2', { delivery: until(50) }),
        makeMail('s.3', { delivery: { ...until(70), hold } }),
        makeMail('s.4', { delivery: until(60) }),
      ],
    });
    await store.release([...all('s.1', 1), ...all('s.2', 1)]);
    assert.deepEqual(names(await store.claimExpired(NOW + 99, 9)), ['s.2 0', 's.3 0']);
    assert.deepEqual(names(await store.claimExpired(NOW + 100, 9)), ['s.1 0']);
  });

  titled('lists in order of acceptance, by state, mail and text, page by page', async () => {
    const store = await fresh();
    const hold = { service: 'av', reason: 'x', heldMs: NOW };
    for (let i = 1; i <= 5; i++) {
      const delivery = i === 3 ? { hold } : { forwardPath: `U${i}_%@Example.ORG` };
      await store.commit({ mails: [makeMail(`s.${6 - i}`, { deliveries: i === 2 ? 2 : 1, delivery })] });
    }
    const everything = ['s.5 0', 's.4 0', 's.4 1', 's.3 0', 's.2 0', 's.1 0'];
    assert.deepEqual(names(await store.list({}, 99)), everything);
    assert.deepEqual(names(await store.list({ state: 'held' }, 99)), ['s.3 0']);
    assert.deepEqual(names(await store.list({ mail: 's.4' }, 99)), ['s.4 0', 's.4 1']);
    assert.deepEqual(names(await store.list({ mailPrefix: 's' }, 99)), everything);
    assert.deepEqual(names(await store.list({ mailPrefix: 's.3' }, 99)), ['s.3 0']);
    assert.deepEqual(names(await store.list({ mailPrefix: 'S.3' }, 99)), [], 'ids have their case');
    assert.equal((await store.list({ destination: 'smtp://192.0.2.25:25' }, 99)).length, 6);
    assert.deepEqual(await store.list({ destination: 'smtp://192.0.2.2' }, 99), [], 'the whole of it');
    assert.deepEqual(names(await store.list({ text: 'u4_%@eXAMPLE' }, 99)), ['s.2 0']);
    assert.deepEqual(names(await store.list({ text: 'u4%@' }, 99)), [], 'no pattern');
    assert.equal((await store.list({ text: 'SENDER@' }, 99)).length, 6);
    const first = await store.list({}, 2);
    await store.commit({ changes: first.map(({ mail, n }) => ({ kind: 'end', mail, n, as: 'removed' })) });
    assert.deepEqual(names(await store.list({}, 2, first.at(-1))), ['s.4 1', 's.3 0']);
  });

  titled('50 MB as they come, read back in ranges, proved', async () => {
    const store = await fresh();
    const writer = store.writeContent('s.1/0');
    const hash = createHash('sha256');
    const size = 50_000_000;
    const piece = Buffer.alloc(99_991);
    for (let at = 0; at < size; ) {
      piece.fill(`${at}.`);
      const octets = piece.subarray(0, size - at);
      hash.update(octets);
      await writer.append(octets);
      at += octets.length;
    }
    await writer.end();
    await store.commit({ mails: [makeMail('s.1', { octets: 'written' })] });
    const sha256 = hash.digest('hex');
    assert.deepEqual(await store.content('s.1/0'), { id: 's.1/0', size });
    const back = createHash('sha256');
    for (let at = 0; at < size; at += 1_234_567) back.update(await store.read('s.1/0', at, 1_234_567));
    assert.equal(back.digest('hex'), sha256);
    assert.equal((await store.read('s.1/0', size - 3, 10)).length, 3);
    assert.equal((await store.read('s.1/0', size, 10)).length, 0);
    await store.commit({ changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'delivered' }] });
    assert.equal(await store.content('s.1/0'), undefined);
  });

  titled('a long content given at once is cut into rows', async () => {
    const store = await fresh();
    const octets = Buffer.alloc(700_001, 'abcdefg');
    await store.commit({ mails: [makeMail('s.1', { octets: [octets.subarray(0, 5), octets.subarray(5)] })] });
    assert.equal((await store.content('s.1/0'))?.size, octets.length);
    assert.ok(octets.subarray(262_143, 524_289).equals(await store.read('s.1/0', 262_143, 262_146)));
    assert.ok(octets.equals(await store.read('s.1/0', 0, 1e9)));
  });

  titled('loose contents: discarded, short, empty, and gone after a restart', async () => {
    const place = await makePlace();
    const store = await at(place);
    const short = store.writeContent('s.1/0');
    await short.append(Buffer.from('ab'));
    await short.end();
    const empty = store.writeContent('s.2/0');
    await empty.end();
    await store.commit({ mails: [makeMail('s.1', { octets: 'written' }), makeMail('s.2', { octets: 'written' })] });
    assert.equal((await store.content('s.1/0'))?.size, 2);
    assert.equal((await store.read('s.2/0', 0, 9)).length, 0);
    const discarded = store.writeContent('s.3/0');
    await discarded.append(Buffer.alloc(600_000));
    await discarded.discard();
    await assert.rejects(discarded.append(Buffer.from('x')), isCode('closed'));
    const unended = store.writeContent('s.4/0');
    await unended.append(Buffer.alloc(600_000));
    await assert.rejects(store.commit({ mails: [makeMail('s.4', { octets: 'written' })] }), isCode('failed'));
    const unused = store.writeContent('s.5/0');
    await unused.append(Buffer.alloc(600_000));
    await unused.end();
    assert.equal((await store.content('s.5/0'))?.size, 600_000);
    await store.close();
    const again = await at(place);
    for (const id of ['s.3/0', 's.4/0', 's.5/0']) assert.equal(await again.content(id), undefined);
    assert.equal((await again.content('s.1/0'))?.size, 2);
  });

  for (const when of ['at once', 'after a unit that failed', 'in the next life'] as const)
    titled(`whatever a mail has goes with it, and its octets are free: ${when}`, async () => {
      const place = await makePlace();
      const maxOctets = 4_000_000;
      let store = await at(place, { maxOctets });
      const write = async (id: string, octets: number): Promise<void> => {
        const writer = store.writeContent(id);
        await writer.append(Buffer.alloc(octets));
        await writer.end();
      };
      const end = (mail: string, n = 0): Change => ({ kind: 'end', mail, n, as: 'delivered' });
      const long = { octets: [Buffer.alloc(300_000)] };
      await store.commit({
        mails: [makeMail('s.1', { deliveries: 2 }), makeMail('s.2'), makeMail('s.3', long), makeMail('s.4')],
      });
      await write('s.2/1', 800);
      const added = { mail: 's.4', content: { id: 's.4/1', octets: [Buffer.from('new')] } };
      await store.commit({ contents: [{ mail: 's.2', content: { id: 's.2/1', octets: 'written' } }, added] });
      const ends = ['s.1', 's.2', 's.3', 's.4'].map((mail) => end(mail));
      if (when === 'after a unit that failed') {
        const impossible: Change = { kind: 'queue', mail: 's.1', n: 1, nextMs: NOW, content: 's.1/1' };
        await assert.rejects(store.commit({ changes: [...ends, impossible] }), isCode('failed'));
      }
      if (when === 'in the next life') {
        await store.close();
        store = await at(place, { maxOctets });
      }
      await store.commit({ changes: ends });
      assert.deepEqual(names(await store.list({}, 10)), ['s.1 1']);
      assert.notEqual(await store.content('s.1/0'), undefined);
      for (const id of ['s.2/0', 's.2/1', 's.3/0', 's.4/0', 's.4/1'])
        assert.equal(await store.content(id), undefined, id);
      // Contents that no mail has, begun before theirs and after it.
      const unended = store.writeContent('s.5/1');
      await unended.append(Buffer.alloc(600_000));
      await store.commit({ mails: [makeMail('s.5'), makeMail('s.6')] });
      await write('s.6/1', 700);
      await store.commit({ changes: [end('s.1', 1), end('s.5'), end('s.6')] });
      for (const id of ['s.1/0', 's.5/0', 's.6/0', 's.6/1']) assert.equal(await store.content(id), undefined, id);
      // Nothing of it is left to be in the way of the same one.
      await store.commit({ mails: [makeMail('s.3', long)] });
      await store.commit({ changes: [end('s.3')] });
      assert.equal((await store.counters()).delivered, 8);
      // Neither less nor more than all of it.
      const fits = (octets: number): Promise<void> =>
        store.commit({ mails: [makeMail('s.7', { octets: [Buffer.alloc(octets)] })] });
      await assert.rejects(fits(maxOctets + 1), isCode('full'));
      await fits(maxOctets);
    });

  titled('a content written ahead of a unit that is done twice, as its answer was lost, is bound once', async () => {
    const store = await fresh();
    await store.commit({ mails: [makeMail('s.1')] });
    const writer = store.writeContent('s.1/a');
    await writer.append(Buffer.from('ab'));
    await writer.end();
    const content = { mail: 's.1', content: { id: 's.1/a', octets: 'written' } } as const;
    const queue = { kind: 'queue', mail: 's.1', n: 0, nextMs: NOW, content: 's.1/a' } as const;
    for (let times = 0; times < 2; times++) await store.commit({ contents: [content], changes: [queue] });
    await writer.discard();
    assert.equal((await store.list({}, 1))[0]?.content, 's.1/a');
    assert.equal((await store.read('s.1/a', 0, 9)).length, 2);
  });

  titled('claims are given back by a close, and everything else stays', async () => {
    const place = await makePlace();
    const store = await at(place);
    await store.commit({ mails: [makeMail('s.1')] });
    const before = await store.counters();
    await store.close();
    await assert.rejects(store.commit({ mails: [makeMail('s.2')] }), isCode('closed'));
    await assert.rejects(store.claim(NOW, 1), isCode('closed'));
    const again = await at(place);
    assert.deepEqual(await again.counters(), before);
    assert.deepEqual(names(await again.claim(NOW, 9)), ['s.1 0']);
  });

  titled('a row that was changed is found out', async () => {
    const place = await makePlace();
    const store = await at(place);
    await store.commit({
      mails: [makeMail('s.1'), makeMail('s.2', { octets: [Buffer.alloc(600_000)] }), makeMail('s.3')],
    });
    await store.close();
    await place.tamper(
      `update content set octets = (select octets from content where id = 's.3/0') where id = 's.1/0'`,
    );
    await place.tamper(`update content set crc = crc + 1 where id = 's.3/0'`);
    await place.tamper(`delete from chunk where content = 's.2/0' and at = 262144`);
    const again = await at(place);
    await assert.rejects(again.read('s.3/0', 0, 3), isCode('corrupt'));
    await assert.rejects(again.read('s.2/0', 0, 600_000), isCode('corrupt'));
    assert.equal((await again.read('s.2/0', 0, 10)).length, 10);
    assert.equal((await again.read('s.1/0', 0, 7)).length, 7, 'the same octets again are the same octets');
  });

  titled('a quota refuses octets, and gives them free', async () => {
    const store = await fresh({ maxOctets: 100_000 });
    await store.commit({ mails: [makeMail('s.1', { octets: [Buffer.alloc(60_000)] })] });
    await assert.rejects(
      store.commit({ mails: [makeMail('s.2', { octets: [Buffer.alloc(60_000)] })] }),
      isCode('full'),
    );
    const writer = store.writeContent('s.3/0');
    await assert.rejects(
      writer.append(Buffer.alloc(600_000)).then(() => writer.end()),
      isCode('full'),
    );
    await writer.discard();
    // A report comes with an end, which is what makes room.
    const report = makeMail('s.1.r1', { octets: [Buffer.alloc(50_000)] });
    await assert.rejects(store.commit({ mails: [report] }), isCode('full'));
    await store.commit({ mails: [report], changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'reported' }] });
    await assert.rejects(
      store.commit({ mails: [makeMail('s.2', { octets: [Buffer.alloc(60_000)] })] }),
      isCode('full'),
    );
    await store.commit({ changes: [{ kind: 'end', mail: 's.1.r1', n: 0, as: 'delivered' }] });
    await store.commit({ mails: [makeMail('s.2', { octets: [Buffer.alloc(60_000)] })] });
  });

  titled('octets that the caller overwrites afterwards are not those that were stored', async () => {
    const store = await fresh();
    const shared = Buffer.alloc(1000, 'a');
    const units = Array.from({ length: 20 }, (_, i) =>
      store.commit({ mails: [makeMail(`s.${i}`, { octets: [shared.subarray(i, i + 500), shared.subarray(0, i)] })] }),
    );
    await Promise.all(units);
    shared.fill('b');
    for (let i = 0; i < 20; i++)
      assert.equal(Buffer.from(await store.read(`s.${i}/0`, 0, 999)).toString(), 'a'.repeat(500 + i));
  });

  titled('does what a plain model does, whatever is asked of it', async () => {
    await runModel(async () => await fresh({ leaseMs: 1000 }));
  });
}

export function isCode(code: StoreErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof StoreError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

function outcome(result: PromiseSettledResult<void>): string {
  if (result.status === 'fulfilled') return 'done';
  return result.reason instanceof StoreError ? result.reason.code : String(result.reason);
}

function all(mail: string, count: number): { mail: string; n: number }[] {
  return Array.from({ length: count }, (_, n) => ({ mail, n }));
}
