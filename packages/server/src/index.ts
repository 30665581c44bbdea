export { type Config, ConfigError, listSettings, readConfig } from './config.js';
export { imagesDirOf } from './data-directory.js';
export type { Check, CheckStatus } from './doctor/check.js';
export { type DiagnoseOptions, type Diagnosis, diagnose } from './doctor/diagnose.js';
export { type RunningServer, type ServerOptions, startServer } from './main.js';
export { usualUsers } from './sandbox/oci/backend.js';
export { findExecutable } from './sandbox/rootfs/executable.js';
export { addImage, ImageError, listImages, removeImage, type UnpackedImage } from './sandbox/rootfs/images.js';
