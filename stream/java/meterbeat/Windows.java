package meterbeat;

import java.io.ByteArrayOutputStream;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
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
 */
final class Windows extends AbstractStreamOperator<RowData>
    implements OneInputStreamOperator<RowData, RowData>, Triggerable<Integer, Long> {
  private static final ListStateDescriptor<byte[]> PACKS =
      new ListStateDescriptor<>("packs", BytePrimitiveArraySerializer.INSTANCE);

  private transient InternalTimerService<Long> timers;

  @Override
  public void open() {
    timers = getInternalTimerService("window ends", LongSerializer.INSTANCE, this);
  }

  @Override
  public void processElement(StreamRecord<RowData> element) throws Exception {
    RowData pack = element.getValue();
    long end = pack.getLong(1);
    if (end == Packer.LATE) {
      long mark = Math.max(0, timers.currentWatermark());
      output.collect(new StreamRecord<>(GenericRowData.of(mark, true, pack.getBinary(2)), mark));
    } else {
      packs(end).add(pack.getBinary(2));
      timers.registerEventTimeTimer(end, end - 1);
    }
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
