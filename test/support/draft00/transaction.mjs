// One transaction at a bare draft-00 callout server: what arrived, what may still be referred to, and the answers.
//
// Written from RFC 4037 sections 7, 11.7 to 11.11 and draft-ietf-opes-smtp-00 section 3 alone. It answers each RCPT and
// MAIL part at once, and the data only after the processor's AME. Rules of the script say what becomes of each part.

import { number, result } from './wire.mjs';

/** Parts that never come in fragments (draft-00 section 3.1). */
const WHOLE = new Set(['IP', 'EHLO', 'HELO', 'MAIL', 'RCPT', 'VRFY', 'EXPN']);
const DATA_CHUNK = 65536;

/** A transaction-scope mistake of the peer (RFC 4037 section 5): TE 400 with this reason. */
export class Invalid extends Error {}

export class Transaction {
  constructor(connection, xid) {
    this.connection = connection;
    this.xid = xid;
    this.org = { at: 'idle', next: 0 };
    this.adp = { at: 'idle', next: 0, size: 0 };
    this.kept = undefined; // what P promised to keep: [from, to)
    this.reusable = { from: 0, to: 2147483648 };
    this.yoursSent = false;
    this.yoursAllowed = true;
    this.modified = false;
    this.modpSent = undefined;
    this.pieces = []; // of the data part: {at, octets}
    this.allow = new Set();
    this.seen = []; // of parts: {part, text}, for the report
    this.paused = false;
    this.waiting = [];
    this.outcome = [];
  }

  // ---- from the processor

  onStart() {
    if (this.org.at !== 'idle') throw new Invalid('second AMS');
    this.org.at = 'open';
  }

  onData(m) {
    if (this.org.at !== 'open') throw new Invalid('DUM outside of a message');
    if (m.payload === undefined) throw new Invalid('DUM without payload');
    const offset = number(m.anonymous[1]);
    if (offset === undefined) throw new Invalid('DUM without offset');
    if (offset !== this.org.next) throw new Invalid(`offset ${offset}, expected ${this.org.next}`);
    this.org.next += m.payload.length;
    this.#onKept(m.named.get('Kept'));
    const profile = this.connection.profile;
    if (profile !== undefined) this.#onPart(profile, m, offset);
    else if (this.connection.script.eager === true) this.#answerPiece(offset, m.payload);
    else this.#keepPiece(offset, m.payload);
  }

  /** Without a profile, when told so: each piece is answered as it comes and what lies behind is let go (session T4). */
  #answerPiece(at, octets) {
    this.start();
    if (at > 0) this.dispose(at, octets.length);
    if (this.connection.ruleFor('RAWDATA', octets.toString('latin1'))?.upper === true) {
      this.changed([upper(octets)], undefined, []);
      this.dispose(at, 0);
    } else this.unchanged([{ at, octets }], undefined, []);
  }

  /** Section 12.2: an earlier promise broken costs us the right to refer back, or P the transaction. */
  #onKept(v) {
    if (v === undefined) return;
    const [from, size] = v.anonymous?.map(number) ?? [];
    if (from === undefined || size === undefined) throw new Invalid('Kept is not {offset size}');
    const now = { from, to: from + size };
    if (this.kept !== undefined) {
      const a = Math.max(this.kept.from, this.reusable.from);
      const b = Math.min(this.kept.to, this.reusable.to);
      if (a < b && (now.from > a || now.to < b)) {
        if (this.yoursSent) throw new Invalid('Kept dropped what it had promised');
        this.yoursAllowed = false;
      }
    }
    this.kept = now;
  }

  #onPart(profile, m, offset) {
    const part = m.named.get('AM-Part');
    if (typeof part !== 'string') throw new Invalid('DUM without AM-Part');
    if (!profile.adaptive.includes(part) && !profile.informative.includes(part)) {
      throw new Invalid(`part ${part} was not selected`);
    }
    const allow = m.named.get('Allow') ?? [];
    if (!Array.isArray(allow)) throw new Invalid('Allow is not a list');
    this.seen.push({ part, text: WHOLE.has(part) ? m.payload.toString('latin1') : `${m.payload.length} octets` });
    if (!profile.adaptive.includes(part)) {
      if (!WHOLE.has(part)) this.#keepPiece(offset, m.payload);
      return;
    }
    if (WHOLE.has(part)) this.#answerCommand(part, m.payload, offset, new Set(allow));
    else {
      this.allow = new Set(allow);
      this.#keepPiece(offset, m.payload);
    }
  }

  #keepPiece(at, octets) {
    this.pieces.push({ at, octets: Buffer.from(octets) });
  }

  /** The original message is over: the data is answered, and then there is nothing left to say. */
  onEnd(code) {
    if (this.org.at !== 'open') throw new Invalid('AME outside of a message');
    this.org.at = 'ended';
    if (code !== 200 && code !== 206) {
      this.pieces = [];
      this.start();
      this.send('AME', [this.xid, result(400)]);
      this.connection.endTransaction(this, result(400));
      return;
    }
    const profile = this.connection.profile;
    this.start();
    const owed = profile === undefined || profile.adaptive.includes('RAWDATA');
    if (owed && this.pieces.length > 0 && !this.#lie('RAWDATA')) this.#answerContent();
    this.whenRunning(() => {
      this.endMessage();
      this.connection.endTransaction(this);
    });
  }

  // ---- answers

  /** A fault of the script may answer in our place. */
  #lie(part, payload, offset) {
    return this.connection.lie(this, part, payload, offset);
  }

  #answerCommand(part, payload, offset, allow) {
    this.start();
    if (this.#lie(part, payload, offset)) return;
    const text = payload.toString('latin1');
    const rule = this.connection.ruleFor(part, text);
    if (rule?.error !== undefined && this.#may(allow, 'SMTP-Error')) {
      this.outcome.push(`${part} refused`);
      this.data(Buffer.alloc(0), { 'AM-Part': part, 'SMTP-Error': rule.error });
    } else if (rule?.rewrite !== undefined) {
      this.modified = true;
      this.outcome.push(`${part} rewritten`);
      const named = { 'AM-Part': part };
      if (rule.addHeader?.length > 0 && this.#may(allow, 'Add-Header')) named['Add-Header'] = rule.addHeader[0];
      this.data(Buffer.from(rule.rewrite, 'latin1'), named);
    } else this.unchanged([{ at: offset, octets: payload }], part, []);
  }

  #answerContent() {
    const part = this.connection.profile === undefined ? undefined : 'RAWDATA';
    const whole = this.content();
    const rule = this.connection.ruleFor('RAWDATA', whole.toString('latin1')) ?? {};
    if (rule.error !== undefined && this.#may(this.allow, 'SMTP-Error')) {
      this.outcome.push('data refused');
      this.data(Buffer.alloc(0), { ...named(part), 'SMTP-Error': rule.error });
      return;
    }
    const headers = this.#may(this.allow, 'Add-Header') ? (rule.addHeader ?? []) : [];
    if (rule.advice !== undefined && this.#may(this.allow, 'Advice')) {
      // Section 3.3.4 has it on either kind of data message, and no form.
      this.outcome.push('data advised');
      this.unchanged(this.pieces, part, headers, rule.advice);
      return;
    }
    if (rule.upper === true)
      this.changed(
        this.pieces.map((p) => upper(p.octets)),
        part,
        headers,
      );
    else if (rule.replace !== undefined)
      this.changed(chunks(replaced(whole, rule.replace), this.connection.script.chunk), part, headers);
    else if (rule.content !== undefined) {
      this.changed(chunks(Buffer.from(rule.content, 'latin1'), this.connection.script.chunk), part, headers);
    } else this.unchanged(this.pieces, part, headers);
  }

  #may(allow, parameter) {
    return allow.has(parameter) || this.connection.script.overstep === true;
  }

  content() {
    return Buffer.concat(this.pieces.map((p) => p.octets));
  }

  /** Sends other octets than came in. */
  changed(parts, part, headers) {
    this.modified = true;
    this.outcome.push('content changed');
    const extra = this.#headerLines(headers);
    for (const octets of parts) this.data(octets, { ...named(part), ...this.#modp(100), ...extra.next() });
    for (let more = extra.next(); Object.keys(more).length > 0; more = extra.next()) {
      this.data(Buffer.alloc(0), { ...named(part), ...more });
    }
  }

  /** By reference where the script wishes it and P keeps the octets, else a copy sent back with As-is. */
  unchanged(pieces, part, headers, advice) {
    const extra = this.#headerLines(headers, advice);
    const first = pieces[0];
    const size = pieces.reduce((n, p) => n + p.octets.length, 0);
    if (this.connection.script.yours === true && this.canUseYours(first.at, size)) {
      this.outcome.push(`${part ?? 'data'} kept`);
      this.yours(first.at, size, extra.next());
    } else {
      this.outcome.push(`${part ?? 'data'} sent back`);
      const modp = this.modified || WHOLE.has(part) ? {} : this.#modp(0);
      for (const [i, p] of pieces.entries()) {
        this.data(p.octets, { ...named(part), 'As-is': p.at, ...(i === 0 ? modp : {}), ...extra.next() });
      }
    }
    for (let more = extra.next(); Object.keys(more).length > 0; more = extra.next()) {
      this.data(Buffer.alloc(0), { ...named(part), ...more });
    }
  }

  /** Draft-00 has one atom a data message; a list on the first one is what some peers send. */
  #headerLines(headers, advice) {
    const left = this.connection.script.addHeaderForm === 'list' && headers.length > 0 ? [headers] : [...headers];
    let first = advice === undefined ? {} : { Advice: advice };
    return {
      next() {
        const h = left.shift();
        const lines = { ...first, ...(h === undefined ? {} : { 'Add-Header': h }) };
        first = {};
        return lines;
      },
    };
  }

  #modp(value) {
    if (this.modpSent === value || this.connection.script.modp === false) return {};
    this.modpSent = value;
    return { Modp: value };
  }

  canUseYours(at, size) {
    return (
      this.yoursAllowed &&
      this.kept !== undefined &&
      at >= Math.max(this.kept.from, this.reusable.from) &&
      at + size <= Math.min(this.kept.to, this.reusable.to, this.org.next)
    );
  }

  // ---- messages

  start() {
    if (this.adp.at !== 'idle') return;
    this.adp.at = 'open';
    this.send('AMS', [this.xid]);
  }

  data(octets, parameters) {
    const offset = this.adp.next;
    this.adp.next += octets.length;
    this.whenRunning(() => this.send('DUM', [this.xid, offset], parameters, octets));
  }

  yours(offset, size, parameters = {}) {
    this.yoursSent = true;
    this.adp.next += size;
    this.whenRunning(() => this.send('DUY', [this.xid, offset, size], parameters));
  }

  /** DPI: from now on we may refer to this range only. */
  dispose(at, size) {
    this.reusable = { from: at, to: at + size };
    this.send('DPI', [this.xid, at, size]);
  }

  endMessage() {
    if (this.adp.at !== 'open') return;
    this.adp.at = 'ended';
    this.send('AME', [this.xid]);
  }

  send(name, anonymous, parameters, payload) {
    if (this.connection.transactions.get(this.xid) === this) this.connection.send(name, anonymous, parameters, payload);
  }

  // ---- flow control (sections 11.15 to 11.17): data of ours waits while P wants a pause

  whenRunning(action) {
    if (this.paused) this.waiting.push(action);
    else action();
  }
  onWantPause() {
    if (this.paused) return;
    this.paused = true;
    this.send('DPM', [this.xid]);
  }
  onWantMore() {
    this.paused = false;
    for (const action of this.waiting.splice(0)) action();
  }
}

const named = (part) => (part === undefined ? {} : { 'AM-Part': part });

/** A-Z for a-z, octet by octet: other octets stay as they are. */
function upper(octets) {
  return Buffer.from(octets.map((c) => (c >= 97 && c <= 122 ? c - 32 : c)));
}

function replaced(octets, [from, to]) {
  return Buffer.from(octets.toString('latin1').replaceAll(from, to), 'latin1');
}

function chunks(octets, size = DATA_CHUNK) {
  const out = [];
  for (let at = 0; at === 0 || at < octets.length; at += size) out.push(octets.subarray(at, at + size));
  return out;
}
