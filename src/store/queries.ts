/**
 * Everything that is asked of the store, and the slow changes, once for both dialects. What is asked for each mail is built once, the rest
 * each time.
 */
import { type Compilable, sql } from 'kysely';
import type { Statement, Value } from './engine.ts';
import type { DeliveryFilter, StoredDelivery } from './ports.ts';
import { DELIVERY_COLUMNS, type Dialect } from './schema.ts';

export interface Cursor {
  readonly seq: number;
  readonly n: number;
}

type Build = (db: Dialect['sql']) => Compilable;

/** Times a claim's rows it looks at where gateways share a database: the others may be claiming the first of them. */
const LOOKED_AT = 4;

/** Written to its end. */
const isWhole = sql<boolean>`size >= 0`;

export class Queries {
  readonly #dialect: Dialect;
  readonly #texts = new Map<string, string>();

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  mail(id: string): Statement {
    return this.#same('mail', (db) => db.selectFrom('mail').selectAll().where('id', '=', id), [id]);
  }

  content(id: string): Statement {
    const build: Build = (db) => db.selectFrom('content').select(['id', 'size']).where('id', '=', id).where(isWhole);
    return this.#same('content', build, [id]);
  }

  /** All octets of a content that is one row; null where it lies in chunks. */
  octets(id: string): Statement {
    const build: Build = (db) =>
      db.selectFrom('content').select(['octets', 'crc', 'size']).where('id', '=', id).where(isWhole);
    return this.#same('octets', build, [id]);
  }

  chunks(content: string, firstAt: number, beforeAt: number): Statement {
    const build: Build = (db) =>
      db
        .selectFrom('chunk')
        .select(['at', 'crc', 'octets'])
        .where('content', '=', content)
        .where('at', '>=', firstAt)
        .where('at', '<', beforeAt)
        .orderBy('at');
    return this.#same('chunks', build, [content, firstAt, beforeAt]);
  }

  list(filter: DeliveryFilter, limit: number, after: Cursor | undefined): Statement {
    let query = this.#dialect.sql
      .selectFrom('delivery as d')
      .innerJoin('mail as m', 'm.seq', 'd.mail')
      .selectAll('d')
      .select('m.id');
    if (filter.state !== undefined)
      query = query.where('d.hold_service', filter.state === 'held' ? 'is not' : 'is', null);
    if (filter.mail !== undefined) query = query.where('m.id', '=', filter.mail);
    // DEL is behind every octet of an id.
    if (filter.mailPrefix !== undefined)
      query = query.where('m.id', '>=', filter.mailPrefix).where('m.id', '<', `${filter.mailPrefix}\x7f`);
    if (filter.destination !== undefined) query = query.where('d.destination', '=', filter.destination);
    if (filter.text !== undefined) {
      const part = `%${filter.text.replace(/[\\%_]/g, '\\$&').replace(/[A-Z]/g, (letter) => letter.toLowerCase())}%`;
      query = query.where((is) =>
        is.or([
          sql<boolean>`${this.#lower('m.reverse_path')} like ${part} escape '\\'`,
          sql<boolean>`${this.#lower('d.forward_path')} like ${part} escape '\\'`,
        ]),
      );
    }
    if (after !== undefined) query = query.where(sql<boolean>`(d.mail, d.n) > (${after.seq}, ${after.n})`);
    return made(query.orderBy('d.mail').orderBy('d.n').limit(limit));
  }

  counters(): Statement {
    const sums = ['accepted', 'delivered', 'reported', 'excepted', 'removed', 'octets'] as const;
    return made(
      this.#dialect.sql
        .selectFrom('counter')
        .select((is) => sums.map((name) => is.fn.coalesce(is.fn.sum<number>(name), sql<number>`0`).as(name))),
    );
  }

  held(): Statement {
    const { sql: db } = this.#dialect;
    return made(
      db
        .selectFrom('delivery')
        .select((is) => is.fn.countAll().as('held'))
        .where('hold_service', 'is not', null),
    );
  }

  nextDue(nowMs: number): Statement {
    return made(
      this.#dialect.sql
        .selectFrom('delivery')
        .select('next_ms')
        .where('hold_service', 'is', null)
        .where('lease_ms', '<=', nowMs)
        .orderBy('next_ms')
        .limit(1),
    );
  }

  /** Due deliveries nobody has, whole mails as far as `limit` allows. */
  claim(nowMs: number, limit: number, owner: string, leaseMs: number): Statement {
    const isDue = sql`d.hold_service is null and d.next_ms <= ${nowMs} and d.lease_ms <= ${nowMs}`;
    return this.#claim(isDue, sql`d.next_ms`, limit, owner, leaseMs);
  }

  claimExpired(nowMs: number, limit: number, owner: string, leaseMs: number): Statement {
    const hasExpired = sql`d.expires_ms <= ${nowMs} and d.lease_ms <= ${nowMs}`;
    return this.#claim(hasExpired, sql`d.expires_ms`, limit, owner, leaseMs);
  }

  /** These ones, where nobody has them. */
  take(deliveries: readonly Cursor[], nowMs: number, owner: string, leaseMs: number): Statement {
    const columns = DELIVERY_COLUMNS.map((name) => sql.ref(name));
    const these = deliveries.map(({ seq, n }) => sql`mail = ${seq} and n = ${n}`);
    return made(
      sql`update delivery set owner = ${owner}, lease_ms = ${leaseMs}
        where lease_ms <= ${nowMs} and (${sql.join(these, sql` or `)})
        returning ${sql.join(columns)}, (select id from mail where mail.seq = delivery.mail) as id`,
      this.#dialect.sql,
    );
  }

  /** The row of counters that `owner` adds to. */
  own(owner: string): Statement {
    return made(
      this.#dialect.sql
        .insertInto('counter')
        .values({ owner, batch: '', accepted: 0, delivered: 0, reported: 0, excepted: 0, removed: 0, octets: 0 })
        .onConflict((conflict) => conflict.doNothing()),
    );
  }

  /** All claims and loose contents that `owner` left behind, and loose ones that are too old to be written on. */
  giveBack(owner: string, looseBeforeMs: number): readonly Statement[] {
    const { sql: db } = this.#dialect;
    const loose = sql<boolean>`loose is not null and (loose = ${owner} or loose_ms < ${looseBeforeMs})`;
    return [
      made(db.updateTable('delivery').set({ owner: null, lease_ms: 0 }).where('owner', '=', owner)),
      made(db.deleteFrom('chunk').where('content', 'in', db.selectFrom('content').select('id').where(loose))),
      made(
        sql`update counter set octets = octets -
            coalesce((select sum(case when size < 0 then -1 - size else size end) from content where ${loose}), 0)
          where owner = ${owner}`,
        db,
      ),
      made(db.deleteFrom('content').where(loose)),
    ];
  }

  /** What `owner` claimed with these leases. */
  giveBackClaims(owner: string, leases: readonly number[]): Statement {
    const { sql: db } = this.#dialect;
    const ours = db.updateTable('delivery').set({ owner: null, lease_ms: 0 }).where('owner', '=', owner);
    return made(ours.where('lease_ms', 'in', leases));
  }

  /**
   * `picks` are the first rows that are due; `whole` has all rows of their mails that are, with the number of the row in the order
   * and that of its mail's last row. A mail fits as a whole, or is the first and is cut.
   */
  #claim(
    isFree: ReturnType<typeof sql>,
    time: ReturnType<typeof sql>,
    limit: number,
    owner: string,
    leaseMs: number,
  ): Statement {
    const { name, skipLocked, sql: db } = this.#dialect;
    const columns = DELIVERY_COLUMNS.map((column) => sql.ref(`delivery.${column}`));
    const first = (count: number): ReturnType<typeof sql> =>
      sql`select d.mail, d.n, ${time} as due from delivery d where ${isFree} order by ${time}, d.mail, d.n limit ${count}`;
    const picks = name === 'postgres' ? ledPicks(first(LOOKED_AT * limit), isFree, limit) : first(limit);
    return made(
      sql`with picks as (${picks}),
        firsts as (select mail, min(due) as due from picks group by mail),
        whole as (
          select d.mail, d.n from delivery d where ${isFree} and d.mail in (select mail from firsts) ${sql.raw(skipLocked)}),
        numbered as (
          select w.mail, w.n, row_number() over (order by f.due, w.mail, w.n) as place from whole w join firsts f on f.mail = w.mail),
        ranked as (select mail, n, place, max(place) over (partition by mail) as last, min(place) over (partition by mail) as first
          from numbered)
        update delivery set owner = ${owner}, lease_ms = ${leaseMs}
        from ranked r
        where delivery.mail = r.mail and delivery.n = r.n and r.place <= ${limit} and (r.last <= ${limit} or r.first = 1)
        returning ${sql.join(columns)}, (select id from mail where mail.seq = delivery.mail) as id`,
      db,
    );
  }

  /** What is asked for each mail is built once; `values` in the order in which `build` names them. */
  #same(name: string, build: Build, values: readonly Value[]): Statement {
    let text = this.#texts.get(name);
    if (text === undefined) {
      text = build(this.#dialect.sql).compile().sql;
      this.#texts.set(name, text);
    }
    return { sql: text, values };
  }

  #lower(column: 'm.reverse_path' | 'd.forward_path'): ReturnType<typeof sql> {
    const collation = this.#dialect.name === 'postgres' ? sql` collate "C"` : sql``;
    return sql`lower(${sql.ref(column)}${collation})`;
  }
}

/**
 * Of the rows `first`, those that no other gateway claims at the same moment. A mail is for whom has locked its first row, `lead`, due
 * or not: it is locked before any other row of its mail, and who cannot have it leaves all of them (decision 0060). Joined to few
 * rows, never to all that are due: a server that knows nothing of the table yet plans that badly.
 */
function ledPicks(
  first: ReturnType<typeof sql>,
  isFree: ReturnType<typeof sql>,
  limit: number,
): ReturnType<typeof sql> {
  return sql`select f.mail, f.n, f.due from (${first}) f
    join delivery d on d.mail = f.mail and d.n = f.n
    join delivery lead on lead.mail = f.mail and lead.n = (select min(n) from delivery where mail = f.mail)
    where ${isFree} order by f.due, f.mail, f.n limit ${limit} for update of lead, d skip locked`;
}

function made(query: Compilable): Statement;
function made(query: ReturnType<typeof sql>, db: Dialect['sql']): Statement;
function made(query: Compilable | ReturnType<typeof sql>, db?: Dialect['sql']): Statement {
  const compiled = db === undefined ? (query as Compilable).compile() : (query as ReturnType<typeof sql>).compile(db);
  return { sql: compiled.sql, values: compiled.parameters as readonly Value[] };
}

/** Claimed rows in their order, earliest mail first: they come in any. */
export function inOrder(
  deliveries: readonly StoredDelivery[],
  time: 'nextMs' | 'expiresMs',
): readonly StoredDelivery[] {
  const earliest = new Map<number, number>();
  for (const { seq, [time]: due } of deliveries) earliest.set(seq, Math.min(due, earliest.get(seq) ?? due));
  const dueOf = ({ seq }: StoredDelivery): number => earliest.get(seq) ?? 0;
  return deliveries.toSorted((a, b) => dueOf(a) - dueOf(b) || a.seq - b.seq || a.n - b.n);
}
