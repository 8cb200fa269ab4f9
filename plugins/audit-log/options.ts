import { Type, type Static } from 'typebox'

/** Where the audit records go. */
export const AuditLogOptions = Type.Object(
  {
    file: Type.Union(
      [Type.Literal('stdout'), Type.String({ minLength: 1, format: 'file', access: 'write' })],
      {
        default: 'stdout',
        description:
          '`stdout`, or a file that records are appended to, one JSON line each. Relative to the file that names it.',
      },
    ),
    whenUnwritable: Type.Enum(['refuse', 'continue'], {
      default: 'refuse',
      description:
        'Whether requests are refused or go on, counted, while a record could not be written.',
    }),
    maxBufferedBytes: Type.Integer({
      minimum: 65_536,
      default: 8_388_608,
      description: 'Records held back while the file is slow; more counts as unwritable.',
    }),
  },
  { additionalProperties: false, default: {}, description: 'Where the audit records go.' },
)
export type AuditLogOptions = Static<typeof AuditLogOptions>
