export { listenCallout } from './callout-listener.ts';
export { DEFAULT_PORT, isLoopback, isProtected, parseEndpoint, writeEndpoint } from './endpoint.ts';
export { ProcessorChannel } from './processor-channel.ts';
export { DEFAULT_TIMEOUTS } from './timeouts.ts';
export type {
  CalloutChannel,
  CalloutListener,
  ChannelEvents,
  ChannelOptions,
  ChannelTimeouts,
  Endpoint,
  ListenOptions,
  TlsOptions,
} from './types.ts';
