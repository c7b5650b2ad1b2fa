/** @type {import("next").NextConfig} */
export default {
  // Sources of this folder only: there may be a lock file above it.
  turbopack: { root: import.meta.dirname },
};
