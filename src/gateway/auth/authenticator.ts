/**
 * Answers what AUTH asks (`AuthQuestion`), for the users of one listener: looks at passwords and proofs, slows down who guesses,
 * and logs who failed. Passwords are in no log, and no answer says whether the name or the password was wrong.
 */
import { Armed, type Deadline, type Deadlines, type Log, type Metrics, printable } from '../../base/index.ts';
import { type AuthAnswer, type AuthQuestion, peerOf, type Reply, replies, saslprep } from '../../smtp/index.ts';
import type { UserOptions } from '../options.ts';
import { CHECK_DEADLINE_MS } from './limits.ts';
import { PasswordChecks } from './password-check.ts';
import { ScramAnswers } from './scram-keys.ts';
import type { Throttle } from './throttle.ts';

export type AuthVerdict = AuthAnswer | { readonly kind: 'refused'; readonly reply: Reply };

export interface AuthWorld {
  readonly deadlines: Deadlines;
  readonly log: Log;
  readonly metrics: Metrics;
  /** One for all listeners: who guesses at one port is known at the next. */
  readonly throttle: Throttle;
}

export class Authenticator {
  readonly #world: AuthWorld;
  readonly #users: ReadonlyMap<string, UserOptions>;
  readonly #passwords: PasswordChecks;
  readonly #scram: ScramAnswers;

  constructor(users: readonly UserOptions[], world: AuthWorld) {
    this.#world = world;
    // In the form in which logins come.
    this.#users = new Map(users.map((user) => [saslprep(user.name) ?? user.name, user]));
    this.#passwords = new PasswordChecks(users);
    this.#scram = new ScramAnswers(users);
  }

  user(name: string): UserOptions | undefined {
    return this.#users.get(name);
  }

  /** `client`: its address. `answer` is called once, now or later. */
  ask(question: AuthQuestion, client: string, answer: (verdict: AuthVerdict) => void): void {
    const attempt = new Attempt(question, client, this.#world, answer);
    const blocked = this.#world.throttle.blocked(attempt.peer, question.user);
    if (blocked !== undefined) {
      attempt.block(blocked === 'address' ? replies.authTooOften : replies.authUnavailable, blocked);
      return;
    }
    const user = this.#users.get(question.user);
    switch (question.kind) {
      case 'salt':
        attempt.pass(this.#scram.salted(question.user, user?.scram));
        break;
      case 'proof': {
        const proven = this.#scram.proven(user?.scram, question.authMessage, question.proof);
        if (proven === undefined) attempt.fail();
        else attempt.succeed(proven);
        break;
      }
      case 'password':
        attempt.await();
        this.#passwords.ask(user, question.password, (verdict) => {
          if (verdict === 'right') attempt.succeed({ kind: 'accepted' });
          else if (verdict === 'wrong') attempt.fail();
          else attempt.block(replies.authUnavailable, 'busy');
        });
        break;
    }
  }
}

/** One question on its way to its answer. */
class Attempt implements Deadline {
  readonly peer: string;
  readonly #question: AuthQuestion;
  readonly #client: string;
  readonly #world: AuthWorld;
  readonly #armed = new Armed(this);
  #answer: ((verdict: AuthVerdict) => void) | undefined;
  #onTime: () => void = () => undefined;

  constructor(question: AuthQuestion, client: string, world: AuthWorld, answer: (verdict: AuthVerdict) => void) {
    this.peer = peerOf(client);
    this.#question = question;
    this.#client = client;
    this.#world = world;
    this.#answer = answer;
  }

  /** Whoever is asked takes time. */
  await(): void {
    this.#later(CHECK_DEADLINE_MS, () => this.block(replies.authUnavailable, 'deadline'));
  }

  pass(answer: AuthAnswer): void {
    this.#say(answer);
  }

  succeed(answer: AuthAnswer): void {
    if (this.#answer === undefined) return;
    this.#world.throttle.succeeded(this.peer, this.#question.user);
    this.#tell('succeeded', 'info', undefined);
    this.#say(answer);
  }

  fail(): void {
    if (this.#answer === undefined) return;
    const delayMs = this.#world.throttle.failed(this.peer, this.#question.user);
    this.#tell('failed', 'warn', undefined);
    const refuse = () => this.#say({ kind: 'refused', reply: replies.authRefused });
    if (delayMs === 0) refuse();
    else this.#later(delayMs, refuse);
  }

  block(reply: Reply, why: 'address' | 'user' | 'busy' | 'deadline'): void {
    if (this.#answer === undefined) return;
    this.#tell('blocked', 'warn', why);
    this.#say({ kind: 'refused', reply });
  }

  onDeadline(): void {
    this.#onTime();
  }

  #later(ms: number, then: () => void): void {
    this.#onTime = then;
    this.#world.deadlines.arm(this.#armed, ms);
  }

  #say(verdict: AuthVerdict): void {
    const answer = this.#answer;
    this.#answer = undefined;
    this.#world.deadlines.release(this.#armed);
    answer?.(verdict);
  }

  #tell(outcome: 'succeeded' | 'failed' | 'blocked', level: 'info' | 'warn', why: string | undefined): void {
    const { kind, user } = this.#question;
    const mechanism = kind === 'password' ? this.#question.mechanism : 'SCRAM-SHA-256';
    const fields = { user: printable(user), client: this.#client, mechanism, ...(why !== undefined && { why }) };
    this.#world.log[level](`auth.${outcome}`, fields);
    this.#world.metrics.count('opes_auth_total', { outcome });
  }
}
