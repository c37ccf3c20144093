export { MailCounts } from './mail-counts.ts';
export { METRICS, type MetricDefinition, type MetricKind } from './names.ts';
export { ServiceCounts } from './service-counts.ts';
