// One OCP connection at a bare draft-00 callout server: start and end, negotiation, groups, transactions, and the place
// where the script's faults strike. Written from RFC 4037 and draft-ietf-opes-smtp-00 alone.

import { dataLies, garbage, offerLies, rcptLies } from './faults.mjs';
import { Invalid, Transaction } from './transaction.mjs';
import { Broken, compose, number, Reader, result } from './wire.mjs';

export const RECEIVER = 'http://iana.org/opes/ocp/SMTP/receiver';
const NEEDS_TRANSACTION = new Set(['AMS', 'AME', 'DUM', 'TE', 'DWP', 'DPM', 'DWM', 'DSS']);
const PART_LISTS = ['Adaptive', 'Informative'];

export class Connection {
  #reader = new Reader();
  #socket;
  #report;
  #started = false;
  #offered = false;
  #groups = new Map();
  #lastGroup = -1;
  #lastXid = -1;
  #queue = []; // octets on their way out while `slow`
  #received = 0;
  #sent = 0;
  #dead = false;
  #counts = new Map();

  constructor(socket, script, report) {
    this.#socket = socket;
    this.#report = report;
    this.script = script;
    this.profile = undefined;
    this.transactions = new Map();
    if (!this.#strike('connect')) this.send('CS', []);
  }

  // ---- in

  feed(chunk) {
    if (this.#dead) return;
    const f = this.#armed('received');
    if (f !== undefined && this.#received + chunk.length >= f.octet) {
      chunk = chunk.subarray(0, Math.max(0, f.octet - this.#received));
      this.#read(chunk);
      this.#act(f);
      return;
    }
    this.#read(chunk);
  }

  #read(chunk) {
    this.#received += chunk.length;
    try {
      for (const m of this.#reader.feed(chunk)) {
        if (this.#dead) return;
        this.#onMessage(m);
      }
    } catch (e) {
      if (e instanceof Broken) this.end(result(400, e.message));
      else throw e;
    }
  }

  #onMessage(m) {
    if (!this.#started) {
      if (m.name !== 'CS') return this.end(result(400, 'CS must come first'));
      this.#started = true;
      return undefined;
    }
    if (m.name === 'TS') this.#received = this.#sent = 0;
    if (this.#strike(eventOf(m))) return undefined;
    if (NEEDS_TRANSACTION.has(m.name)) return this.#onTransactionMessage(m);
    switch (m.name) {
      case 'CE':
        return this.#close();
      case 'NO':
        return this.#onOffer(m);
      case 'SGC':
        return this.#onGroup(m);
      case 'SGD':
        if (!this.#groups.delete(number(m.anonymous[0]))) this.end(result(400, 'no such group'));
        return undefined;
      case 'TS':
        return this.#onTransaction(m);
      case 'PQ':
        return this.#onQuery(m);
      case 'AQ':
        return this.send('AA', [m.anonymous[0]?.anonymous?.[0] === this.script.feature ? 'true' : 'false']);
      case 'NR':
        return this.end(result(400, 'I offered nothing'));
      default: // unknown or not for us: ignored (section 11)
        return undefined;
    }
  }

  /** Section 11.18; a draft-00 server takes the one profile it knows, on whatever scope it was offered. */
  #onOffer(m) {
    this.#offered = true;
    const features = m.anonymous[0];
    if (!Array.isArray(features)) return this.end(result(400, 'NO without features'));
    const sg = m.named.get('SG');
    if (sg !== undefined && !this.#groups.has(number(sg))) return this.end(result(400, 'NO for no group'));
    const scope = sg === undefined ? {} : { SG: sg };
    const offer = features.find((f) => f.anonymous?.[0] === this.script.feature);
    if (offer === undefined) return this.send('NR', [], scope);
    const select = (kind) => offer.named.get(`${kind}-Parts`) ?? [];
    const all = PART_LISTS.flatMap(select);
    const adaptive = this.script.adaptive.filter((p) => select('Adaptive').includes(p));
    const informative = this.script.informative.filter((p) => all.includes(p) && !adaptive.includes(p));
    const suffix = this.script.alias === true ? 'Commands' : 'Parts';
    const named = new Map(
      [
        [`Adaptive-${suffix}`, adaptive],
        [`Informative-${suffix}`, informative],
      ].filter(([, list]) => list.length > 0),
    );
    const feature = { anonymous: [this.script.feature], named };
    this.profile = { adaptive, informative };
    this.#report({ event: 'negotiated', adaptive, informative });
    const lie = offerLies[this.#lieDue() ?? ''];
    if (lie !== undefined) {
      this.#used();
      return this.raw(lie(feature));
    }
    return this.send('NR', [feature], scope);
  }

  #onGroup(m) {
    const id = number(m.anonymous[0]);
    if (id === undefined || id <= this.#lastGroup || !Array.isArray(m.anonymous[1])) {
      return this.end(result(400, 'bad group'));
    }
    this.#lastGroup = id;
    this.#groups.set(id, m.anonymous[1]);
    return undefined;
  }

  #onTransaction(m) {
    const [xid, group] = m.anonymous.map(number);
    if (!this.#offered || xid === undefined || xid <= this.#lastXid) return this.end(result(400, 'bad TS'));
    this.#lastXid = xid;
    if (!this.#groups.has(group)) return this.send('TE', [xid, result(400, 'no such group')]);
    this.transactions.set(xid, new Transaction(this, xid));
    return undefined;
  }

  #onTransactionMessage(m) {
    const xid = number(m.anonymous[0]);
    if (xid === undefined) return this.end(result(400, `${m.name} without xid`));
    const tx = this.transactions.get(xid);
    if (tx === undefined) {
      // Ended ones may have something in flight; one never created is told once.
      if (xid > this.#lastXid && m.name !== 'TE') {
        this.#lastXid = xid;
        this.send('TE', [xid, result(400, 'no such transaction')]);
      }
      return undefined;
    }
    try {
      this.#dispatch(tx, m);
    } catch (e) {
      if (!(e instanceof Invalid)) throw e;
      this.#report({ event: 'invalid', xid, reason: e.message });
      this.endTransaction(tx, result(400, e.message));
    }
    return undefined;
  }

  #dispatch(tx, m) {
    switch (m.name) {
      case 'AMS':
        return tx.onStart();
      case 'DUM':
        return tx.onData(m);
      case 'AME':
        return tx.onEnd(codeOf(m.anonymous[1]));
      case 'TE':
        this.#report({
          event: 'transaction',
          xid: tx.xid,
          ended: 'by-peer',
          code: codeOf(m.anonymous[1]),
          ...told(tx),
        });
        return void this.transactions.delete(tx.xid);
      case 'DWP':
        return tx.onWantPause();
      case 'DWM':
        return tx.onWantMore();
      default: // DPM is a promise we need not use; DSS answers a wish we never utter
        return undefined;
    }
  }

  /** Section 11.22. */
  #onQuery(m) {
    const tx = m.anonymous.length > 0 ? this.transactions.get(number(m.anonymous[0])) : undefined;
    if (tx === undefined) return this.send('PA', []);
    return this.send('PA', [tx.xid], tx.org.at === 'open' ? { 'Org-Data': tx.org.next } : {});
  }

  // ---- out

  send(name, anonymous, parameters = {}, payload) {
    this.raw(compose(name, anonymous, parameters, payload));
  }

  raw(octets) {
    if (this.#dead) return;
    const f = this.#armed('sent');
    if (f !== undefined && this.#sent + octets.length >= f.octet) {
      this.#put(octets.subarray(0, Math.max(0, f.octet - this.#sent)));
      const rest = octets.subarray(Math.max(0, f.octet - this.#sent));
      this.#act(f, rest);
      return;
    }
    this.#sent += octets.length;
    this.#put(octets);
  }

  #put(octets) {
    if (this.#queue.length > 0) this.#queue.push(octets);
    else if (octets.length > 0) this.#socket.write(octets);
  }

  endTransaction(tx, why) {
    if (!this.transactions.delete(tx.xid)) return;
    this.send('TE', why === undefined ? [tx.xid] : [tx.xid, why]);
    this.#report({ event: 'transaction', xid: tx.xid, ended: 'by-us', code: codeOf(why), ...told(tx) });
  }

  end(why) {
    if (this.#dead) return;
    this.#report({ event: 'end', reason: why.anonymous[1] });
    this.send('CE', [why]);
    this.#close();
  }

  #close() {
    this.#dead = true;
    this.transactions.clear();
    this.#socket.end();
  }

  // ---- the script

  ruleFor(part, text) {
    return this.script.rules.find((r) => r.part === part && (r.match === undefined || new RegExp(r.match).test(text)));
  }

  /** Whether a lie took the place of the honest answer. */
  lie(tx, part, payload, offset) {
    const kind = this.#lieDue();
    const lie = part === 'RCPT' ? rcptLies[kind ?? ''] : part === 'RAWDATA' ? dataLies[kind ?? ''] : undefined;
    if (lie === undefined) return false;
    this.#used();
    if (part === 'RCPT') lie(tx, payload, offset);
    else lie(tx);
    return true;
  }

  #lieDue() {
    const f = this.script.fault;
    return f !== undefined && f.times > 0 && f.lie !== undefined ? f.lie : undefined;
  }

  #used() {
    this.script.fault.times--;
    this.#report({ event: 'fault', kind: this.script.fault.kind ?? this.script.fault.lie });
  }

  /** The fault that waits for an octet of this direction, if any. */
  #armed(direction) {
    const f = this.script.fault;
    if (f === undefined || f.kind === undefined || f.times <= 0 || f[direction] === undefined) return undefined;
    if (f.since !== 'connection' && this.#lastXid < 0) return undefined;
    return { ...f, octet: f[direction] };
  }

  /** A fault in place of the answer to the n-th such message. */
  #strike(event) {
    const f = this.script.fault;
    if (f === undefined || f.kind === undefined || f.times <= 0 || f.on !== event) return false;
    const n = (this.#counts.get(event) ?? 0) + 1;
    this.#counts.set(event, n);
    if (n !== (f.nth ?? 1)) return false;
    this.#counts.set(event, 0);
    this.#act(f);
    return true;
  }

  #act(f, rest = Buffer.alloc(0)) {
    this.#used();
    switch (f.kind) {
      case 'die':
        this.#dead = true;
        // What was written before must still leave: a reset would make the cut fall anywhere.
        this.#socket.end(() => this.#socket.destroy());
        return;
      case 'reset':
        this.#dead = true;
        this.#socket.resetAndDestroy();
        return;
      case 'exit':
        process.exit(1);
        return;
      case 'mute':
        this.#dead = true;
        return;
      case 'garbage':
        this.#put(garbage(f.octets));
        this.#dead = true;
        return;
      case 'end':
        this.send('CE', [result(400, 'enough')]);
        this.#close();
        return;
      case 'slow':
        this.#trickle(rest, f.everyMs ?? 50, f.step ?? 1);
        return;
      default:
        throw new Error(`unknown fault ${f.kind}`);
    }
  }

  /** From here on a few octets at a time. */
  #trickle(first, everyMs, step) {
    this.#queue.push(first.length > 0 ? first : Buffer.from(''));
    const timer = setInterval(() => {
      const all = Buffer.concat(this.#queue.splice(0));
      if (this.#socket.destroyed) clearInterval(timer);
      else this.#socket.write(all.subarray(0, step));
      this.#queue.push(all.subarray(step));
    }, everyMs);
  }
}

const codeOf = (r) => (r === undefined ? 200 : (number(r.anonymous?.[0]) ?? 400));
const told = (tx) => ({ parts: tx.seen, octets: tx.org.next, outcome: tx.outcome });
const eventOf = (m) =>
  m.name === 'DUM' && typeof m.named.get('AM-Part') === 'string' ? m.named.get('AM-Part') : m.name;
