/**
 * `opes check`: says what is wrong with a configuration, its service files included, or what it comes to; and with a mail, or an envelope, what
 * would be done to it, through the real dispatcher and the real services. Nothing is sent on, nothing is listened to by
 * others, and the data directory is not touched: a check beside a running gateway disturbs nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Log, noMetrics, silentLog } from '../../base/index.ts';
import type { EffectiveConfig } from '../../config/index.ts';
import { type CheckReport, type CheckRequest, Gateway } from '../../gateway/index.ts';
import { UNIX_PEER } from '../../smtp/index.ts';
import { EXIT, Failure } from '../exit.ts';
import { brokenConfig, loadPlaced } from '../load.ts';
import { readMail } from '../send/send.ts';
import { gatewayOptions } from '../start/gateway-options.ts';
import { ServiceProcesses } from '../start/service-processes.ts';
import { loadServices } from './load-services.ts';
import { showConfig } from './show-config.ts';
import { showReport } from './show-report.ts';

export interface CheckOptions {
  readonly config?: string;
  readonly from?: string;
  readonly to?: readonly string[];
  readonly client?: string;
  readonly helo?: string;
  readonly user?: string;
  readonly listener?: string;
}

export async function check(mail: string | undefined, options: CheckOptions): Promise<number> {
  if (mail === undefined && options.to === undefined) refuseMailOptions(options);
  const { config, place } = loadPlaced(options.config, note);
  const processes = new ServiceProcesses(silentLog);
  try {
    const { problems, slow } = await loadServices(config, processes, place);
    if (slow.length > 0) note(`slow to load: ${slow.join(', ')}`);
    if (problems.length > 0) throw brokenConfig(problems);
    process.stdout.write(showConfig(config));
    if (mail === undefined && options.to === undefined) return EXIT.ok;
    const request = await makeRequest(config, mail, options);
    const report = await runMail(config, request, processes);
    process.stdout.write(`\n${showReport(report)}`);
    return EXIT.ok;
  } finally {
    await processes.stop();
  }
}

/** What says something of a mail would be passed over without one. */
function refuseMailOptions(options: CheckOptions): void {
  const given = (['from', 'client', 'helo', 'user', 'listener'] as const).filter((name) => options[name] !== undefined);
  if (given.length === 0) return;
  const names = given.map((name) => `--${name}`).join(', ');
  throw new Failure(
    `${names}: of a mail, and there is none; name a recipient, and maybe a file: ${EXAMPLE}`,
    EXIT.usage,
  );
}

const EXAMPLE = '--to bob@example.com mail.eml';

function note(text: string): void {
  process.stderr.write(`note: ${text}\n`);
}

/** Of what a gateway logs, the one thing that a report does not tell: which URI is wrong. */
const log: Log = {
  ...silentLog,
  warn(event, fields) {
    if (event === 'callout.service-unknown') note(String(fields?.['fix']));
  },
};

async function makeRequest(
  config: EffectiveConfig,
  mail: string | undefined,
  options: CheckOptions,
): Promise<CheckRequest> {
  const { to = [], listener } = options;
  if (to.length === 0) throw new Failure('a mail needs a recipient: --to bob@example.com', EXIT.usage);
  const names = config.listeners.map((one) => one.name);
  if (listener !== undefined && !names.includes(listener)) {
    throw new Failure(`--listener ${listener}: the listeners are: ${names.join(', ')}`, EXIT.usage);
  }
  return {
    listener,
    client: options.client ?? usualClient(config, listener),
    user: options.user,
    helo: options.helo ?? 'opes-check',
    from: bare(options.from ?? ''),
    to: to.map(bare),
    content: mail === undefined ? undefined : await readMail(mail),
  };
}

/** Who comes by a Unix socket has no address. */
function usualClient({ listeners }: EffectiveConfig, name: string | undefined): string {
  const listener = listeners.find((one) => name === undefined || one.name === name);
  return listener?.address.kind === 'unix' ? UNIX_PEER : '127.0.0.1';
}

const bare = (address: string) => address.replace(/^<(.*)>$/, '$1');

const ANYWHERE = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;

/** Stands for the mailbox, which a check does not open. */
const NOWHERE = { host: '127.0.0.1', port: 1 };

function withMailbox(report: CheckReport): CheckReport {
  const name = (hop: string | undefined) => (hop === `${NOWHERE.host}:${NOWHERE.port}` ? 'mailbox' : hop);
  return { ...report, routes: report.routes.map((route) => ({ ...route, nextHop: name(route.nextHop) })) };
}

async function runMail(
  config: EffectiveConfig,
  request: CheckRequest,
  processes: ServiceProcesses,
): Promise<CheckReport> {
  const spillDir = mkdtempSync(join(tmpdir(), 'opes-check-'));
  try {
    const { services } = await processes.start(config);
    // Not on the ports of the file: a gateway may be running on them. Nobody is told of these.
    const listeners = config.listeners.map((one) => ({ ...one, address: ANYWHERE }));
    const options = gatewayOptions(
      { ...config, listeners, spillDir, recentOctets: 0 },
      {
        services,
        store: undefined,
        mailbox: NOWHERE,
        log,
        metrics: noMetrics,
        onSilent: () => undefined,
      },
    );
    const gateway = await Gateway.open(options);
    try {
      return withMailbox(await gateway.check(request));
    } catch (error) {
      throw new Failure(error instanceof Error ? error.message : String(error), EXIT.usage);
    } finally {
      await gateway.close(0);
    }
  } finally {
    rmSync(spillDir, { recursive: true, force: true });
  }
}
