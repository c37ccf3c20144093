/** The words of `opes queue` and `opes quarantine`. What they do is loaded when it is asked for. */
import { type Command, Option } from 'commander';
import type { QueueAct } from '../../gateway/index.ts';
import type { AdminOptions, ListOptions } from './queue.ts';

type Ended = (exitCode: number) => void;

const ABOUT_IDS = `
An ID is what the lists show: MAIL#N for one recipient, MAIL for all recipients of a mail, or what the id of one mail
begins with.`;

export function addQueueCommands(program: Command, ended: Ended): void {
  const queue = program
    .command('queue')
    .description('mail a running gateway answers for and has not passed on')
    .addHelpText(
      'after',
      example(['opes queue list', 'opes queue show q3Zk81aBcD7x.1', 'opes queue retry --to example.com']),
    );
  listCommand(queue, 'list what waits')
    .addOption(new Option('--state <state>', 'which of it').choices(['queued', 'held', 'all']).default('queued'))
    .action(async (options: ListOptions) => ended(await (await code()).list(options, 'queue')));
  showCommand(queue, ended);
  command(queue, 'retry', 'try now what would be tried later')
    .argument('[id...]', 'mails or recipients')
    .option('--all', 'everything that is queued')
    .option('--to <domain>', 'everything for the recipients of one domain')
    .action(async (ids, options) => ended(await (await code()).retry(ids, options)));
  actCommand(queue, 'hold', 'keep aside what is queued, until it is released', ended);
  actCommand(queue, 'release', 'let go what is held', ended);
  actCommand(queue, 'remove', 'take mail out; nobody is told, and it is counted', ended);
  command(queue, 'counters', 'what became of all recipients so far; the sums balance').action(
    async (options: AdminOptions) => ended(await (await code()).counters(options)),
  );
}

export function addQuarantineCommands(program: Command, ended: Ended): void {
  const quarantine = program
    .command('quarantine')
    .description('mail that is held aside: a service failed or refused, or an operator held it')
    .addHelpText(
      'after',
      example([
        'opes quarantine list',
        'opes quarantine show --octets q3Zk81aBcD7x.1 > mail.eml',
        'opes quarantine release q3Zk81aBcD7x.1#0',
      ]),
    );
  listCommand(quarantine, 'list what is held').action(async (options: AdminOptions) =>
    ended(await (await code()).list({ ...options, state: 'held' }, 'quarantine')),
  );
  showCommand(quarantine, ended);
  command(quarantine, 'release', 'let go, through the services that may not be bypassed')
    .argument('[id...]', 'mails or recipients')
    .option('--by <service>', 'everything that this service had held')
    .option('--all', 'everything that is held')
    .addHelpText('after', ABOUT_IDS)
    .action(async (ids, options) => ended(await (await code()).release(ids, options)));
  actCommand(quarantine, 'remove', 'take out; nobody is told, and it is counted', ended, 'held');
}

function listCommand(parent: Command, description: string): Command {
  return command(parent, 'list', description).option('--to <text>', 'only where sender or recipient holds this text');
}

function showCommand(parent: Command, ended: Ended): void {
  command(parent, 'show', 'all that is known of a mail, or of one recipient')
    .argument('<id>', 'a mail or a recipient')
    .option('--octets', 'write the message itself, exactly as it is kept')
    .addHelpText('after', ABOUT_IDS)
    .action(async (id, options) => ended(await (await code()).show(id, options)));
}

function actCommand(parent: Command, act: QueueAct, description: string, ended: Ended, only?: 'held'): void {
  command(parent, act, description)
    .argument('<id...>', 'mails or recipients')
    .addHelpText('after', ABOUT_IDS)
    .action(async (ids: readonly string[], options: AdminOptions) => {
      const orders = ids.map((id) => ({ act, id, only }));
      ended(await (await code()).act(orders, options));
    });
}

function command(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .option('--config <file>', 'configuration of the gateway; without it, the demo')
    .option('--json', 'JSON, one object a line');
}

function example(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function code(): Promise<typeof import('./queue.ts')> {
  return import('./queue.ts');
}
