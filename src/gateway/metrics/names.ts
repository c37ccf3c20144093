/**
 * Every figure the gateway gives, with its meaning: what `/metrics` shows and `docs/metrics.md` explains (a test holds them
 * together). Labels take values from closed sets; there is none for an address, a mail or a peer.
 */
export type MetricKind = 'counter' | 'gauge' | 'histogram';

export interface MetricDefinition {
  readonly kind: MetricKind;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds in seconds. */
  readonly buckets?: readonly number[];
}

/** From what a mail without services takes to the deadline of all of it. */
const MAIL_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240];
/** A service in memory answers in a millisecond, and may take as long as its `timeout`. */
const CALL_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const counter = (help: string, ...labels: string[]): MetricDefinition => ({ kind: 'counter', help, labels });
const gauge = (help: string, ...labels: string[]): MetricDefinition => ({ kind: 'gauge', help, labels });
const seconds = (help: string, buckets: readonly number[], ...labels: string[]): MetricDefinition => ({
  kind: 'histogram',
  help,
  labels,
  buckets,
});

export const METRICS: Readonly<Record<string, MetricDefinition>> = {
  opes_sessions_total: counter('SMTP sessions begun', 'listener'),
  opes_sessions: gauge('SMTP sessions open', 'listener'),
  opes_sessions_refused_total: counter('Connections refused because there were too many', 'listener'),
  opes_auth_total: counter('Logins of clients, by how they went', 'outcome'),
  opes_replies_total: counter('SMTP replies given, by their first digit', 'listener', 'class'),
  opes_mails_total: counter('Mails that ended, by how', 'outcome'),
  opes_mail_seconds: seconds('From MAIL to the reply to the content', MAIL_SECONDS, 'outcome'),
  opes_mail_octets_total: counter('Octets of content, as received and as relayed', 'direction'),
  opes_recipients_total: counter('Recipients, by the first digit of their last reply', 'class'),
  opes_commands_total: counter(
    'Commands outside of mails that services were asked about, by how they ended',
    'command',
    'outcome',
  ),
  opes_callouts_total: counter('Services at mails and commands, by what they did', 'service', 'verdict'),
  opes_callout_seconds: seconds('While a service owed an answer, for each mail or command', CALL_SECONDS, 'service'),
  opes_callout_failures_total: counter(
    'Services that failed a mail or command, why, and what was done',
    'service',
    'reason',
    'action',
  ),
  opes_bypasses_total: counter('Requests to leave a service out, by what became of them', 'service', 'fate'),
  opes_callout_connections: gauge('Connections to callout servers that are up', 'service'),
  opes_callout_endpoints: gauge('Callout servers configured', 'service'),
  opes_callout_transactions: gauge('Mails and commands at a service now', 'service'),
  opes_callout_connections_lost_total: counter('Connections to callout servers that ended or failed', 'service'),
  opes_next_hop_connections: gauge('Connections to next hops'),
  opes_next_hop_idle_connections: gauge('Connections to next hops that wait for a mail'),
  opes_next_hop_waiting_mails: gauge('Mails that wait for a connection to a next hop'),
  opes_next_hop_connections_total: counter('Connections to next hops tried'),
  opes_next_hop_retries_total: counter('Mails begun again on a new connection, before their content was sent'),
  opes_next_hop_failures_total: counter('Connections to next hops that failed, where and why', 'stage', 'reason'),
  opes_deliveries_total: counter('Tries of the spool, a recipient each, by how they ended', 'outcome'),
  opes_queue_deliveries: gauge('Recipients in the store, by what they wait for', 'state'),
  opes_queue_active: gauge(
    'Transactions of the spool, and its runs through services, under way or waiting for their turn',
  ),
  opes_store_refused_total: counter('What the store refused for good, and is left to an operator', 'what'),
  opes_reports_total: counter('Reports to senders, by what they tell', 'kind'),
  opes_report_exceptions_total: counter('Failed deliveries nobody was told of, and why', 'why'),
  opes_content_memory_octets: gauge('Content of mails held in memory'),
  opes_content_spilled_octets: gauge('Content of mails in spill files'),
  opes_spill_full: gauge('1 while new mail is refused for want of spill space'),
  opes_ready: gauge('1 while /readyz says so'),
  opes_reloads_total: counter('Reloads of the configuration, by how they went', 'result'),
  opes_configurations: gauge('Configurations in use: more than 1 while sessions of an earlier one are open'),
  opes_configuration_loaded_seconds: gauge('When the present configuration was loaded, in seconds since 1970'),
};
