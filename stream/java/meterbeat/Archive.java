package meterbeat;

import java.util.HashMap;
import java.util.Map;
import java.time.LocalDate;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.formats.parquet.ParquetWriterFactory;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.sink.filesystem.BucketAssigner;
import org.apache.flink.streaming.api.functions.sink.filesystem.OutputFileConfig;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.SimpleVersionedStringSerializer;

/**
 * Writes every heartbeat once, as Parquet files by utility and UTC day; infra/contracts/archive.py is the
 * contract. A file appears whole when the checkpoint that closed it is complete.
 */
public final class Archive {
  private static final long DAY_MS = 86_400_000;

  private Archive() {}

  /** Archives the heartbeats among the messages under a URL. */
  public static void write(DataStream<Heartbeat> messages, String url) {
    ParquetWriterFactory<Heartbeat> files =
        new ParquetWriterFactory<>(file -> new ArchiveWriter(file).build());
    FileSink<Heartbeat> sink =
        FileSink.forBulkFormat(new Path(url), files)
            .withBucketAssigner(new UtilityAndDay())
            .withOutputFileConfig(OutputFileConfig.builder().withPartPrefix("part").build())
            .build();
    messages.filter(message -> message.reason == null).name("well-formed").sinkTo(sink).name("archive").uid("archive");
  }

  private static final class UtilityAndDay implements BucketAssigner<Heartbeat, String> {
    private transient Map<Long, String> folders;

    @Override
    public String getBucketId(Heartbeat heartbeat, Context context) {
      if (folders == null) {
        folders = new HashMap<>();
      }
      long day = heartbeat.sentAt / DAY_MS;
      return folders.computeIfAbsent(4 * day + heartbeat.utility, any -> folder(heartbeat.utility, day));
    }

    private static String folder(int utility, long day) {
      return "utility=" + Decoder.TOPICS[utility] + "/day=" + LocalDate.ofEpochDay(day);
    }

    @Override
    public SimpleVersionedSerializer<String> getSerializer() {
      return SimpleVersionedStringSerializer.INSTANCE;
    }
  }
}
