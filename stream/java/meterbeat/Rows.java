package meterbeat;

import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.BooleanType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.VarBinaryType;
import org.apache.flink.table.types.logical.VarCharType;

/** The shapes of the rows between the steps of the job. */
final class Rows {
  private static final LogicalType INT = new IntType();
  private static final LogicalType BIGINT = new BigIntType();
  private static final LogicalType BYTES = new VarBinaryType(VarBinaryType.MAX_LENGTH);
  private static final LogicalType STRING = VarCharType.STRING_TYPE;

  /** Heartbeats of one bucket and window, or late ones, as they leave a reader. */
  static final InternalTypeInfo<RowData> PACK =
      row(new LogicalType[] {INT, BIGINT, BYTES}, "label", "window_end", "heartbeats");

  /** All heartbeats of one bucket and window, or some that are late, as they enter the fold. */
  static final InternalTypeInfo<RowData> WINDOW =
      row(new LogicalType[] {BIGINT, new BooleanType(), BYTES}, "window_end", "late", "heartbeats");

  /** A message that is no heartbeat. */
  static final InternalTypeInfo<RowData> DEAD_LETTER =
      row(
          new LogicalType[] {BYTES, BYTES, STRING, INT, BIGINT, BIGINT, STRING},
          "message_key",
          "message_value",
          "topic",
          "partition_id",
          "message_offset",
          "timestamp_ms",
          "reason");

  private Rows() {}

  private static InternalTypeInfo<RowData> row(LogicalType[] types, String... names) {
    return InternalTypeInfo.of(RowType.of(types, names));
  }
}
