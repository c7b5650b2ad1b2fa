/** The mark of Zhilu: a compass needle that points the way, its north half in blaze colour. */
export function Logo({ size = 28, title }: { size?: number; title?: string }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 32 32"
      role={title ? "img" : undefined}
      aria-hidden={!title}
      aria-label={title}
    >
      <circle
        cx="16"
        cy="16"
        r="14.2"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        strokeDasharray="3 2.576"
        opacity=".55"
      />
      <path d="M24.6 7.4 19.4 19.4 12.6 12.6Z" fill="var(--blaze-mark, #e4572e)" />
      <path d="M7.4 24.6 12.6 12.6 19.4 19.4Z" fill="currentColor" />
      <circle cx="16" cy="16" r="1.8" fill="var(--logo-hub, var(--surface))" />
    </svg>
  );
}

/** Contour lines of a hill, as on a hiking map: the quiet background of first screens. */
export function Contours({ className }: { className?: string }) {
  const rings = [0, 1, 2, 3, 4, 5, 6, 7];
  return (
    <svg
      className={className}
      viewBox="0 0 600 400"
      fill="none"
      stroke="currentColor"
      aria-hidden="true"
      preserveAspectRatio="xMidYMid slice"
    >
      {rings.map((ring) => {
        const grow = 1 + ring * 0.34;
        return (
          <path
            key={ring}
            transform={`translate(${390 - ring * 14} ${190 + ring * 6}) rotate(${-18 + ring * 3}) scale(${grow})`}
            strokeWidth={1 / grow}
            d="M-62 -8C-58 -44 -18 -52 14 -46C52 -40 78 -22 74 6C70 32 44 30 22 40C-2 52 -34 50 -50 32C-62 20 -64 8 -62 -8Z"
          />
        );
      })}
    </svg>
  );
}
