/** What the pages are made from. Plain data and one port: no page reaches into the gateway. */
import type { ConsoleSettings, EffectiveService } from '../config/index.ts';
import type { RecentMails, SystemOptions } from '../gateway/options.ts';

export interface ConsoleOptions extends ConsoleSettings {
  readonly hostname: string;
  readonly system: SystemOptions;
  readonly services: readonly Pick<
    EffectiveService,
    'name' | 'uri' | 'may' | 'bypassable' | 'neverBecause' | 'consent' | 'from'
  >[];
  readonly recent: RecentMails;
  /** Time of day. */
  now(): number;
}
