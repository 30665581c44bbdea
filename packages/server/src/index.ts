export { type Config, ConfigError, listSettings, readConfig } from './config.js';
export { type RunningServer, type ServerOptions, startServer } from './main.js';
