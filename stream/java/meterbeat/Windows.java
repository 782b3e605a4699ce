package meterbeat;

import java.io.ByteArrayOutputStream;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.metrics.Counter;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;

/**
 * Keeps the packs of a bucket until the watermark has passed their window's end, then hands them on as one
 * array. State and timers are one a bucket and window. What is late goes straight on.
 *
 * <p>A reader that was idle is behind the others: what it takes to be on time may belong to a window that has
 * ended here. A timer for it would wait for the next watermark, and after the last heartbeats there is none.
 */
final class Windows extends AbstractStreamOperator<RowData>
    implements OneInputStreamOperator<RowData, RowData>, Triggerable<Integer, Long> {
  private static final ListStateDescriptor<byte[]> PACKS =
      new ListStateDescriptor<>("packs", BytePrimitiveArraySerializer.INSTANCE);

  private transient InternalTimerService<Long> timers;
  private transient Counter late;

  @Override
  public void open() {
    timers = getInternalTimerService("window ends", LongSerializer.INSTANCE, this);
    late = getMetricGroup().counter("late");
  }

  @Override
  public void processElement(StreamRecord<RowData> element) throws Exception {
    RowData pack = element.getValue();
    long end = pack.getLong(1);
    byte[] heartbeats = pack.getBinary(2);
    if (end == Packer.LATE) {
      handOnLate(heartbeats);
    } else if (end - 1 <= timers.currentWatermark()) {
      late.inc(heartbeats.length / Pack.HEARTBEAT_BYTES);
      handOnLate(heartbeats);
    } else {
      packs(end).add(heartbeats);
      timers.registerEventTimeTimer(end, end - 1);
    }
  }

  private void handOnLate(byte[] heartbeats) {
    long mark = Math.max(0, timers.currentWatermark());
    output.collect(new StreamRecord<>(GenericRowData.of(mark, true, heartbeats), mark));
  }

  @Override
  public void onEventTime(InternalTimer<Integer, Long> timer) throws Exception {
    long end = timer.getNamespace();
    ByteArrayOutputStream whole = new ByteArrayOutputStream();
    for (byte[] pack : packs(end).get()) {
      whole.write(pack);
    }
    packs(end).clear();
    output.collect(new StreamRecord<>(GenericRowData.of(end, false, whole.toByteArray()), end - 1));
  }

  @Override
  public void onProcessingTime(InternalTimer<Integer, Long> timer) {
    throw new IllegalStateException("windows end by event time only");
  }

  private ListState<byte[]> packs(long end) throws Exception {
    return getPartitionedState(end, LongSerializer.INSTANCE, PACKS);
  }
}
