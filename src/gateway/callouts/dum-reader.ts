/**
 * A DUM of the callout server while it comes in: what it answers is judged by its head, its octets are collected for a
 * command and taken as they come for the data, and it says something only once it is whole.
 */
import { type Answer, MAX_REWRITTEN_OCTETS } from '../../profile/index.ts';
import type { CommandParts } from './command-parts.ts';
import type { DataExchange } from './data-exchange.ts';

/** There is no mail yet that could be kept or put off (decision 0041). */
export const ADVICE_ON_COMMAND = 'advice-on-command';

export class DumReader {
  readonly #commands: CommandParts;
  #answer: Answer | undefined;
  /** Of a command's argument. */
  #octets: Buffer[] = [];

  constructor(commands: CommandParts) {
    this.#commands = commands;
  }

  /** Its head: the rule it breaks, if it does. `data`, where there is an exchange of it. */
  begin(answer: Answer, size: number, data: DataExchange | undefined): string | undefined {
    this.#answer = answer;
    this.#octets = [];
    const { oldest } = this.#commands;
    if (answer.part === 'RAWDATA') {
      if (oldest !== undefined) return 'part-order';
      return data?.adapted === undefined ? 'part-not-adaptive' : undefined;
    }
    if (size > MAX_REWRITTEN_OCTETS) return 'argument-size';
    if (answer.part !== oldest?.part && this.#commands.isReplay(answer.part)) {
      // What was said the first time stands; a refusal now would come too late to be given to the client.
      if (answer.refusal !== undefined) return 'replayed-part-refused';
      if (answer.advice !== undefined) return ADVICE_ON_COMMAND;
      this.#answer = undefined;
      return undefined;
    }
    return answer.part === oldest?.part ? undefined : 'part-order';
  }

  /** Whether its octets are the data's. */
  get isData(): boolean {
    return this.#answer?.part === 'RAWDATA';
  }

  /** Octets of a command's argument. */
  collect(octets: Buffer): void {
    if (this.#answer !== undefined) this.#octets.push(octets);
  }

  /** It is whole. Nothing where it says nothing. */
  end(): Answer | undefined {
    const answer = this.#answer;
    this.#answer = undefined;
    return answer;
  }

  /** The argument of the DUM that ended last. */
  get argument(): string {
    return Buffer.concat(this.#octets).toString('latin1');
  }
}
