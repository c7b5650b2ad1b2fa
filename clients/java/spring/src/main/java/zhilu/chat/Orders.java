package zhilu.chat;

import java.util.Map;
import org.springframework.stereotype.Service;

/** What the model may ask for. Your own service would stand here: a database, another API. */
@Service
public class Orders {
    private static final Map<String, String> KNOWN =
            Map.of("1001", "shipped on Monday, arrives on Thursday", "1002", "being packed");

    public String statusOf(String number) {
        return KNOWN.getOrDefault(number == null ? "" : number.trim(), "There is no order of this number.");
    }
}
