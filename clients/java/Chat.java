// A streamed answer with nothing but the JDK (17 or newer): no library, no build.
//
//     java Chat.java "What can you do?"          or:  echo "What can you do?" | java Chat.java -
//
// ZHILU_URL (http://127.0.0.1:8642/v1), ZHILU_MODEL (zhilu-nano), ZHILU_API_KEY say where and whom to ask.

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

public class Chat {
    static final String URL = System.getenv().getOrDefault("ZHILU_URL", "http://127.0.0.1:8642/v1");
    static final String MODEL = System.getenv().getOrDefault("ZHILU_MODEL", "zhilu-nano");
    static final String KEY = System.getenv().getOrDefault("ZHILU_API_KEY", "");
    // UTF-8 whatever the terminal's locale is: before JDK 18 System.out follows the locale.
    static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    static final PrintStream ERR = new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        String question = args.length == 0 ? "What can you do?"
                : args[0].equals("-") ? new String(System.in.readAllBytes(), StandardCharsets.UTF_8).strip() : args[0];
        String body = Json.write(Map.of(
                "model", MODEL,
                "messages", List.of(Map.of("role", "user", "content", question)),
                "max_tokens", 256,
                "stream", true,
                "stream_options", Map.of("include_usage", true)));
        try {
            System.exit(stream(body) ? 0 : 1);
        } catch (ConnectException e) {
            ERR.println("Nothing answers at " + URL + ". Start it with: zhilu up");
        } catch (IOException e) {
            ERR.println("The answer broke off: " + e.getMessage());
        }
        System.exit(1);
    }

    /** Sends the request and prints the answer as it comes. False where the server said no. */
    static boolean stream(String body) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(URL + "/chat/completions"))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body));
        if (!KEY.isEmpty()) request.header("Authorization", "Bearer " + KEY);
        HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

        HttpResponse<Stream<String>> reply = client.send(request.build(), HttpResponse.BodyHandlers.ofLines());
        try (Stream<String> lines = reply.body()) {
            if (reply.statusCode() != 200) {
                String said = lines.collect(Collectors.joining("\n"));
                ERR.println("HTTP " + reply.statusCode() + ": " + reasonIn(said));
                return false;
            }
            Object usage = null, reason = null;
            boolean finished = false;
            // Server-sent events: "data: {...}", an empty line between them, "data: [DONE]" at the end.
            for (Iterator<String> each = lines.iterator(); each.hasNext() && !finished; ) {
                String line = each.next();
                if (!line.startsWith("data:")) continue;
                String data = line.substring(5).strip();
                if (data.equals("[DONE]")) {
                    finished = true;
                    continue;
                }
                Object chunk = Json.read(data);
                if (Json.get(chunk, "error") != null) {
                    ERR.println("\n" + reasonIn(data));
                    return false;
                }
                if (Json.get(chunk, "choices", 0, "delta", "content") instanceof String piece) {
                    OUT.print(piece);
                    OUT.flush();
                }
                if (Json.get(chunk, "choices", 0, "finish_reason") instanceof String why) reason = why;
                if (Json.get(chunk, "usage", "completion_tokens") instanceof Long count) usage = count;
            }
            OUT.println();
            if (!finished) throw new IOException("the stream ended without [DONE]");
            // The id of this request in Zhilu's own log, logs/usage.jsonl.
            String id = reply.headers().firstValue("x-request-id").orElse("-");
            ERR.println("[" + usage + " tokens, ended by " + reason + ", request " + id + "]");
            return true;
        }
    }

    /** The message of an OpenAI-shaped error, or the text itself where it is none. */
    static String reasonIn(String text) {
        try {
            return Json.get(Json.read(text), "error", "message") instanceof String message ? message : text;
        } catch (IllegalArgumentException notJson) {
            return text;
        }
    }

    // ---- JSON, just enough: read into Map, List, String, Long, Double, Boolean or null; write the same. RFC 8259.

    /** Reads one JSON text. Throws IllegalArgumentException with the place where it is not JSON. */
    static final class Json {
        private final String text;
        private int at;

        private Json(String text) {
            this.text = text;
        }

        static Object read(String text) {
            Json json = new Json(text);
            Object value = json.value(0);
            json.space();
            if (json.at != text.length()) throw json.wrong();
            return value;
        }

        /** Walks down: a String is a key of an object, an Integer an index of a list. Null where nothing is there. */
        static Object get(Object value, Object... path) {
            for (Object step : path) {
                if (step instanceof String && value instanceof Map<?, ?> map) value = map.get(step);
                else if (step instanceof Integer i && value instanceof List<?> list && i < list.size()) value = list.get(i);
                else return null;
            }
            return value;
        }

        static String write(Object value) {
            if (value instanceof Map<?, ?> map) {
                return map.entrySet().stream().map(e -> write(e.getKey()) + ":" + write(e.getValue()))
                        .collect(Collectors.joining(",", "{", "}"));
            }
            if (value instanceof List<?> list) {
                return list.stream().map(Json::write).collect(Collectors.joining(",", "[", "]"));
            }
            if (!(value instanceof String string)) return String.valueOf(value);
            StringBuilder out = new StringBuilder("\"");
            for (char c : string.toCharArray()) {
                if (c == '"' || c == '\\') out.append('\\').append(c);
                else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
                else out.append(c);
            }
            return out.append('"').toString();
        }

        private Object value(int depth) {
            if (depth > 200) throw wrong();
            space();
            char c = peek();
            if (c == '"') return string();
            if (c == '{') {
                Map<String, Object> map = new LinkedHashMap<>();
                for (at++; !closes('}', map.isEmpty()); ) {
                    space();
                    String key = string();
                    space();
                    expect(':');
                    map.put(key, value(depth + 1));
                }
                return map;
            }
            if (c == '[') {
                List<Object> list = new ArrayList<>();
                for (at++; !closes(']', list.isEmpty()); ) list.add(value(depth + 1));
                return list;
            }
            int start = at;
            while (at < text.length() && "+-.0123456789aeflnrstuE".indexOf(text.charAt(at)) >= 0) at++;
            String word = text.substring(start, at);
            switch (word) {
                case "true": return true;
                case "false": return false;
                case "null": return null;
                default:
                    if (!word.matches("-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?")) throw wrong();
                    if (word.matches("-?\\d{1,18}")) return Long.valueOf(word);
                    return Double.valueOf(word);
            }
        }

        /** True at the closing mark; otherwise past the comma that must stand between two members. */
        private boolean closes(char mark, boolean first) {
            space();
            if (peek() == mark) {
                at++;
                return true;
            }
            if (!first) expect(',');
            return false;
        }

        private String string() {
            expect('"');
            StringBuilder out = new StringBuilder();
            while (peek() != '"') {
                char c = text.charAt(at++);
                if (c < ' ') throw wrong();
                if (c == '\\') {
                    c = peek();
                    at++;
                    int plain = "\"\\/".indexOf(c), control = "bfnrt".indexOf(c);
                    if (control >= 0) c = "\b\f\n\r\t".charAt(control);
                    else if (c == 'u') c = hex();
                    else if (plain < 0) throw wrong();
                }
                out.append(c);
            }
            at++;
            return out.toString();
        }

        private char hex() {
            String digits = text.substring(at, Math.min(at + 4, text.length()));
            if (!digits.matches("[0-9a-fA-F]{4}")) throw wrong();
            at += 4;
            return (char) Integer.parseInt(digits, 16);
        }

        private char peek() {
            if (at >= text.length()) throw wrong();
            return text.charAt(at);
        }

        private void expect(char c) {
            if (peek() != c) throw wrong();
            at++;
        }

        private void space() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
        }

        private IllegalArgumentException wrong() {
            return new IllegalArgumentException("not JSON at character " + at + ": " + text);
        }
    }
}
