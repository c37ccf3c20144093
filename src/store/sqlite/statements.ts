/** The statements of the hot path, prepared once. Contents of a mail are those whose id begins with its id and a slash. */
import type Database from 'better-sqlite3';

const ONE = 'mail = (select seq from mail where id = ?) and n = ?';
const FREE = 'owner = null, lease_ms = 0';
/** As in PostgreSQL, where several gateways share the rows (decision 0053); here the file has one. */
const NOT_ANOTHERS = '(owner = ? or owner is null)';

type Name =
  | 'mail'
  | 'delivery'
  | 'content'
  | 'chunk'
  | 'grow'
  | 'seal'
  | 'bind'
  | 'isBound'
  | 'discardContent'
  | 'discardChunks'
  | 'seqOf'
  | 'end'
  | 'isLeft'
  | 'endMail'
  | 'contentsOf'
  | 'endContent'
  | 'endChunks'
  | 'retry'
  | 'hold'
  | 'queue'
  | 'renew'
  | 'release'
  | 'count'
  | 'freePages'
  | 'begin'
  | 'commit'
  | 'rollback';

export function prepare(db: Database.Database): Readonly<Record<Name, Database.Statement>> {
  return {
    mail: db.prepare('insert into mail (seq, id, accepted_ms, reverse_path, params, facts) values (?, ?, ?, ?, ?, ?)'),
    delivery: db.prepare(
      `insert into delivery (mail, n, content, forward_path, params, destination, lane, hold_service, hold_reason, held_ms,
        next_ms, expires_ms, notes, owner, lease_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    content: db.prepare('insert into content (id, size, crc, octets, loose, loose_ms) values (?, ?, ?, ?, ?, ?)'),
    chunk: db.prepare('insert into chunk (content, at, crc, octets) values (?, ?, ?, ?)'),
    grow: db.prepare('update content set size = size - ? where id = ?'),
    seal: db.prepare('update content set size = ? where id = ? and size = -1 - ?'),
    bind: db.prepare('update content set loose = null where id = ? and size >= 0'),
    isBound: db.prepare('select 1 from content where id = ? and loose is null').pluck(),
    discardContent: db.prepare('delete from content where id = ? and loose is not null returning size').pluck(),
    discardChunks: db.prepare('delete from chunk where content = ?'),
    seqOf: db.prepare('select seq from mail where id = ?').pluck(),
    // Steps of their own: `returning` and `not exists` would do it in fewer statements, and take a third more time.
    end: db.prepare(`delete from delivery where mail = ? and n = ? and ${NOT_ANOTHERS}`),
    isLeft: db.prepare('select 1 from delivery where mail = ? limit 1').pluck(),
    endMail: db.prepare('delete from mail where seq = ?'),
    contentsOf: db.prepare('select rowid, size, octets is null from content where id >= ? and id < ?').raw(),
    endContent: db.prepare('delete from content where rowid = ?'),
    endChunks: db.prepare('delete from chunk where content >= ? and content < ?'),
    retry: db.prepare(
      `update delivery set attempts = ?, next_ms = ?, last_reply = ?, is_warned = ?, notes = coalesce(?, notes), ${FREE}
        where ${ONE} and ${NOT_ANOTHERS}`,
    ),
    hold: db.prepare(
      `update delivery set hold_service = ?, hold_reason = ?, held_ms = ?, expires_ms = ?, ${FREE}
        where ${ONE} and ${NOT_ANOTHERS}`,
    ),
    queue: db.prepare(
      `update delivery set hold_service = null, hold_reason = null, held_ms = null, next_ms = ?, lane = coalesce(?, lane),
        content = coalesce(?, content), expires_ms = coalesce(?, expires_ms), notes = coalesce(?, notes), ${FREE}
        where ${ONE} and ${NOT_ANOTHERS}`,
    ),
    renew: db.prepare(`update delivery set lease_ms = ? where ${ONE} and owner = ?`),
    release: db.prepare(`update delivery set ${FREE} where ${ONE} and owner = ?`),
    count: db
      .prepare(
        `update counter set batch = ?, accepted = accepted + ?, delivered = delivered + ?, reported = reported + ?,
        excepted = excepted + ?, removed = removed + ?, octets = octets + ? where owner = ? returning octets`,
      )
      .pluck(),
    freePages: db.prepare('pragma freelist_count').pluck(),
    begin: db.prepare('begin immediate'),
    commit: db.prepare('commit'),
    rollback: db.prepare('rollback'),
  };
}

export type Statements = ReturnType<typeof prepare>;
