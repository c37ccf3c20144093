/** The statements of a batch, prepared on each connection. Rows that go in together come as arrays, a column each. */
const ONE = 'mail = (select seq from mail where id = $1) and n = $2';
const FREE = 'owner = null, lease_ms = 0';
/** Not another gateway's: what it has claimed since our lease ended is its own (decision 0053). */
const notAnothers = (us: string): string => `(owner = ${us} or owner is null)`;

export const statements = {
  begin: 'begin',
  commit: 'commit',
  rollback: 'rollback',
  mails: `insert into mail (id, accepted_ms, reverse_path, params, facts)
    select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])`,
  deliveries: `insert into delivery (mail, n, content, forward_path, params, destination, lane, hold_service, hold_reason, held_ms,
      next_ms, expires_ms, notes, lease_ms, owner)
    select m.seq, d.n, d.content, d.forward_path, d.params, d.destination, d.lane, d.hold_service, d.hold_reason, d.held_ms,
      d.next_ms, d.expires_ms, d.notes, d.lease_ms, $15::text
    from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
      $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[])
      as d (mail, n, content, forward_path, params, destination, lane, hold_service, hold_reason, held_ms, next_ms, expires_ms,
        notes, lease_ms)
    join mail m on m.id = d.mail`,
  content: 'insert into content (id, size, crc, octets, loose, loose_ms) values ($1, $2, $3, $4, $5, $6)',
  chunk: 'insert into chunk (content, at, crc, octets) values ($1, $2, $3, $4)',
  grow: 'update content set size = size - $2 where id = $1',
  seal: 'update content set size = $2 where id = $1 and size = -1 - $2::bigint',
  bind: 'update content set loose = null where id = $1 and size >= 0',
  isBound: 'select 1 from content where id = $1 and loose is null',
  discardContent: 'delete from content where id = $1 and loose is not null returning size',
  // Of a content that a lost COMMIT bound after all, nothing is touched.
  discardChunks: 'delete from chunk where content = $1 and not exists (select from content where id = $1)',
  // In the order of their ids, so that two gateways that end the same mails do not wait for each other.
  lockMails: 'select from mail where id = any($1::text[]) order by id for update',
  end: `delete from delivery d using unnest($1::text[], $2::bigint[], $3::text[]) as e (mail, n, ending), mail m
    where m.id = e.mail and d.mail = m.seq and d.n = e.n and ${notAnothers('$4')} returning e.ending`,
  endMails: `with gone as (
      delete from mail m where m.id = any($1::text[]) and not exists (select from delivery d where d.mail = m.seq) returning m.id),
    without as (
      delete from content c using gone g where c.id >= g.id || '/' and c.id < g.id || '0' returning c.id, c.size, c.octets is null as is_long),
    chunks as (delete from chunk k using without w where w.is_long and k.content = w.id)
    select size from without`,
  retry: `update delivery set attempts = $3, next_ms = $4, last_reply = $5, is_warned = $6, notes = coalesce($7, notes), ${FREE}
    where ${ONE} and ${notAnothers('$8')}`,
  hold: `update delivery set hold_service = $3, hold_reason = $4, held_ms = $5, expires_ms = $6, ${FREE}
    where ${ONE} and ${notAnothers('$7')}`,
  queue: `update delivery set hold_service = null, hold_reason = null, held_ms = null, next_ms = $3, lane = coalesce($4, lane),
      content = coalesce($5, content), expires_ms = coalesce($6, expires_ms), notes = coalesce($7, notes), ${FREE}
    where ${ONE} and ${notAnothers('$8')}`,
  renew: `update delivery set lease_ms = $3 where ${ONE} and owner = $4`,
  release: `update delivery set ${FREE} where ${ONE} and owner = $3`,
  count: `update counter set batch = $2, accepted = accepted + $3, delivered = delivered + $4, reported = reported + $5,
      excepted = excepted + $6, removed = removed + $7, octets = octets + $8 where owner = $1`,
  stored: 'select coalesce(sum(octets), 0) as stored from counter',
  /** Waits for the transaction of a connection that was lost. */
  lastBatch: 'select batch from counter where owner = $1 for update',
  undoDeliveries: 'delete from delivery d using mail m where m.id = any($1::text[]) and d.mail = m.seq returning d.n',
} as const;

export type Name = keyof typeof statements;
